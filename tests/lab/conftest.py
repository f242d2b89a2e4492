# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the lab's tests: one machine for all of them, a guest each."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from xpvlab import EmulatorFault, Host  # noqa: E402


def pytest_addoption(parser):
    group = parser.getgroup("lab")
    group.addoption("--kernel", action="append", choices=["6.1", "6.12"],
                    help="series of the guests' kernel; may be repeated (default: 6.12)")
    group.addoption("--modules", type=Path, help="directory of xpv's .ko files")
    group.addoption("--memory", type=int, default=4096, help="MiB of the machine")


def pytest_generate_tests(metafunc):
    if "kernel" in metafunc.fixturenames:
        metafunc.parametrize("kernel", metafunc.config.getoption("--kernel") or ["6.12"])


@pytest.fixture(scope="session")
def host(request):
    """The machine: Xen and dom0, booted once."""
    with Host(memory=request.config.getoption("--memory")) as machine:
        yield machine


@pytest.fixture
def modules(request):
    """The directory of xpv's modules; a test that needs them skips without."""
    directory = request.config.getoption("--modules")
    if directory is None:
        pytest.skip("no --modules")
    return directory


@pytest.fixture
def guest(host, kernel, request):
    """A factory: guest(type=..., disks=..., ...) boots a guest, which is
    stopped, and whose logs are checked, when the test ends."""
    running = []

    def boot(**options):
        options.setdefault("kernel", kernel)
        one = host.guest(**options)
        running.append(one)
        one.boot()
        return one

    yield boot
    errors = []
    for one in reversed(running):
        try:
            one.finish()
        except Exception as error:      # finish them all, then report
            errors.append(error)
    for error in errors:
        if isinstance(error, EmulatorFault):
            raise error
    if errors:
        raise errors[0]


@pytest.fixture
def xpv_guest(guest, modules):
    """The same for HVM guests with xpv in place of the kernel's drivers; its
    modules are loaded."""
    def boot(**options):
        one = guest(type="hvm", drivers="xpv", modules=modules, **options)
        one.load_xpv()
        return one
    return boot
