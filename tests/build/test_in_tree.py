# SPDX-License-Identifier: GPL-2.0-only
"""The project as a part of a kernel tree: drivers/xpv, configured by Kconfig."""

import os
import shutil
import subprocess
import sys

import pytest

import checks
from conftest import ROOT, early

sys.path.insert(0, str(ROOT / "tests/kunit"))
import kernel as kunit_kernel

FOLDERS = ("lib", "hypervisor", "evtchn", "gnttab", "xenbus", "blkfront", "netfront", "suspend", "examples/echo",
           "tests/fake", "tests/kunit")


def run(tree, *command):
    result = subprocess.run(command, cwd=tree, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return result.returncode, result.stdout


def configured(tree):
    return {line for line in (tree / ".config").read_text().splitlines() if "XPV" in line}


@early
def prepared(tree):
    """The kernel tree of the KUnit suites, ready to build modules in; built if it is not there yet."""
    subprocess.run(["cp", "-a", f"{kunit_kernel.get()}/.", tree], check=True)
    return tree


@pytest.fixture(scope="module")
def tree(prepared):
    """A kernel tree with the project in it, as README.md says to do it."""
    ours = prepared / "drivers/xpv"
    ours.mkdir()
    for name in ("Kbuild", "Kconfig"):
        shutil.copy(ROOT / name, ours)
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, ours / folder)
    with open(prepared / "drivers/Makefile", "a") as makefile:
        makefile.write("obj-$(CONFIG_XPV) += xpv/\n")
    kconfig = prepared / "drivers/Kconfig"
    menu, end, rest = kconfig.read_text().rpartition("endmenu")
    kconfig.write_text(menu + 'source "drivers/xpv/Kconfig"\n' + end + rest)
    yield prepared
    shutil.rmtree(prepared)


def test_off_by_default(tree):
    code, log = run(tree, "make", "olddefconfig")
    assert code == 0, log
    assert configured(tree) == {"# CONFIG_XPV is not set"}


def test_every_option_has_help(tree):
    entries = (ROOT / "Kconfig").read_text().split("\nconfig ")
    assert len(entries) > 12
    assert not [entry.split()[0] for entry in entries if "\thelp\n" not in entry]


def test_dependencies_hold(tree):
    """A disk driver without the bus cannot be chosen."""
    saved = (tree / ".config").read_text()
    (tree / ".config").write_text(saved + "CONFIG_XPV=m\nCONFIG_XPV_LIB=m\nCONFIG_XPV_BLKFRONT=m\n")
    code, log = run(tree, "make", "olddefconfig")
    assert code == 0, log
    assert "CONFIG_XPV_LIB=m" in configured(tree)
    assert "CONFIG_XPV_BLKFRONT=m" not in configured(tree)
    (tree / ".config").write_text(saved)


def test_builds_without_warnings(tree):
    modules = ("LIB", "HYPERVISOR", "EVTCHN", "GNTTAB", "XENBUS", "BLKFRONT", "NETFRONT", "SUSPEND")
    wanted = {f"CONFIG_XPV_{name}=m" for name in modules} | {"CONFIG_XPV=m", "CONFIG_XPV_FAKE_HYPERVISOR=y"}
    with open(tree / ".config", "a") as config:
        config.write("\n".join(sorted(wanted)) + "\nCONFIG_KUNIT_ALL_TESTS=y\n")
    code, log = run(tree, "make", "olddefconfig")
    assert code == 0, log
    assert wanted <= configured(tree)
    assert "CONFIG_XPV_BLKFRONT_KUNIT_TEST=m" in configured(tree)
    assert "CONFIG_XPV_NETFRONT_KUNIT_TEST=m" in configured(tree)

    code, log = run(tree, "make", f"-j{os.cpu_count()}", "W=1", "drivers/xpv/")
    assert code == 0, log
    for name in ("lib", "hypervisor", "evtchn", "gnttab", "xenbus", "blkfront", "netfront", "suspend"):
        assert (tree / f"drivers/xpv/{name}/xpv_{name}.o").exists()
    assert (tree / "drivers/xpv/tests/kunit/xpv_lib_kunit.o").exists()
    assert not checks.log_complaints("\n".join(line for line in log.splitlines() if "drivers/xpv" in line))
