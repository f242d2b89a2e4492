# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the lab's tests: one machine for all of them, a guest each."""

import functools
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


def pytest_configure(config):
    config.addinivalue_line("markers", "vcpus(*counts): the guests that a test of xpv wants, by vCPUs")
    config.addinivalue_line("markers", "xdist_group(name): tests for the same worker")


@functools.cache
def _shape(kernel, vcpus):
    """A guest's description: one object for each, as pytest tells fixture parameters apart."""
    return (kernel, vcpus)


def pytest_generate_tests(metafunc):
    kernels = metafunc.config.getoption("--kernel") or ["6.12"]
    if "xpv" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("vcpus")
        # Tests that share a guest go to one worker, where several run.
        metafunc.parametrize("xpv", [
            pytest.param(_shape(kernel, vcpus), id=f"{kernel}-{vcpus}vcpus",
                         marks=pytest.mark.xdist_group(f"{kernel}-{vcpus}"))
            for kernel in kernels for vcpus in (marker.args if marker else (2,))],
            indirect=True, scope="module")
    elif "kernel" in metafunc.fixturenames:
        metafunc.parametrize("kernel", kernels)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Tests that share a guest come one after the other, in the order of the file."""
    def shape(item):
        params = getattr(item, "callspec", None) and item.callspec.params
        return str(params["xpv"]) if params and "xpv" in params else ""
    items.sort(key=lambda item: (str(item.path), shape(item)))


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


@pytest.fixture(scope="module")
def xpv(host, request):
    """An HVM guest booted with xen_nopv, shared by the tests of a module; each
    loads xpv and unloads it. Its logs are checked at the end."""
    directory = request.config.getoption("--modules")
    if directory is None:
        pytest.skip("no --modules")
    kernel, vcpus = request.param
    with host.guest(type="hvm", drivers="xpv", modules=directory, kernel=kernel, vcpus=vcpus, disks=[128],
                    expected=[r"I/O error, dev xvdf", r"Buffer I/O error on dev xvdf"]) as guest:
        yield guest
