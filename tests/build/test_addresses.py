# SPDX-License-Identifier: GPL-2.0-only
"""Kernel addresses are printed as kernel.kptr_restrict permits. The files of debugfs are C, out of the host tests' reach."""

import pytest

import sources
from conftest import ROOT


def test_no_source_prints_a_raw_address():
    assert [place for path, text in sources.sources(ROOT) for place in sources.printed_addresses(path, text)] == []


@pytest.mark.parametrize("line", [
    'seq_printf(file, "window %px pages %u\\n", address, pages);',
    'seq_printf(file, "page 0x%p frame", address);',
    'pr_info("%16p\\n", address);',
    'XPV_ERR("%s at %-20px", name, address);',
])
def test_the_rule_sees_an_address(line):
    assert sources.printed_addresses("hypervisor/hypervisor_linux.c", "/* %px */\n" + line + "\n")[0].startswith(
        "hypervisor/hypervisor_linux.c:2: ")


@pytest.mark.parametrize("line", [
    'seq_printf(file, "window 0x%pK pages %u\\n", address, pages);',
    'printk(KERN_ERR "%pV", &text);',
    'pr_err("  %pS\\n", (void *)caller);',
    'pr_err("error %pe, %u%per cent\\n", ERR_PTR(error), part);',
    "/* never %px */",
])
def test_the_rule_lets_others_pass(line):
    assert sources.printed_addresses("lib/shim_linux.c", line + "\n") == []
