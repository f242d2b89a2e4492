# SPDX-License-Identifier: GPL-2.0-only
"""The modules as built for each installed kernel, from nothing and with all warnings."""

import functools
import shutil
import subprocess

import pytest

import checks
from conftest import ROOT, early, make

MODULES = ("lib", "hypervisor", "evtchn", "gnttab", "xenbus", "blkfront", "netfront", "suspend")


@early
def build(_, kernel):
    """A clean build: its directory, make's exit code, and the log."""
    # Not in build/<release>: somebody may be using those modules.
    directory = ROOT / "build" / "check" / kernel.release
    shutil.rmtree(directory, ignore_errors=True)
    code, log = make("modules", f"KDIR={kernel.directory}", f"BUILD={directory}")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "build.log").write_text(log)
    return directory, code, log


# What binutils said of a module serves all checks.
module = functools.cache(checks.Module)


def test_builds(build):
    _, code, log = build
    assert code == 0, log


def test_kernel_without_smp_is_refused(kernel, tmp_path):
    """This_cpu.hh's addresses are wrong there."""
    code, log = make("modules", f"KDIR={kernel.directory}", f"BUILD={tmp_path}", "CONFIG_SMP=")
    assert code != 0 and "xpv needs a kernel with CONFIG_SMP" in log


def test_without_warnings(build):
    assert not checks.log_complaints(build[2])


def test_nothing_is_built_twice(build, kernel):
    _, log = make("modules", f"KDIR={kernel.directory}", f"BUILD={build[0]}")
    rebuilt = [line for line in log.splitlines() if line.split()[:1] in (["CXX"], ["CC"], ["LD"])]
    assert not rebuilt


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_module(build, kernel, name, check):
    path = build[0] / name / f"xpv_{name}.ko"
    assert path.exists(), "the module was not built"
    assert not check(module(path, kernel))


@pytest.fixture
def example(build, kernel, tmp_path):
    """The example of a frontend, built beside the project as somebody else would: its directory and the log."""
    directory = tmp_path / "echo"
    shutil.copytree(ROOT / "examples/echo", directory)
    result = subprocess.run(["make", "-C", directory, f"KDIR={kernel.directory}", f"XPV={ROOT}",
                             f"SYMBOLS={build[0]}/Module.symvers"],
                            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert result.returncode == 0, result.stdout
    return directory, result.stdout


def test_example(example, kernel):
    directory, log = example
    assert not checks.log_complaints(log)
    assert (directory / "echoback").exists()
    module = checks.Module(directory / "xpv_echofront.ko", kernel)
    assert not [complaint for check in checks.CHECKS for complaint in check(module)]
    # By the bus's uevents, udev finds it.
    assert "xpv:xpvecho" in checks.output("modinfo", "-F", "alias", module.path)
