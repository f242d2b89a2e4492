# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the lab's tests: one machine for all of them, a guest each."""

import functools
import sys
import typing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from xpvlab import TYPES, EmulatorFault, Host  # noqa: E402

# On a machine with two processors. One guest boots in 30 seconds alone, and in
# 110 beside a busy one with four vCPUs.
VCPUS_AT_ONCE = 4


def pytest_addoption(parser):
    group = parser.getgroup("lab")
    group.addoption("--kernel", action="append", choices=["6.1", "6.12", "6.1-rt"],
                    help="series of the guests' kernel; may be repeated (default: 6.12)")
    group.addoption("--modules", type=Path, help="directory of xpv's .ko files")
    group.addoption("--vcpus", type=int, action="append", default=[],
                    help="one more number of vCPUs for tests that want 4; may be repeated")
    group.addoption("--matrix", action="store_true",
                    help="each test with each kernel; without, a test of xpv runs once for each number of vCPUs")
    group.addoption("--abi", choices=["fifo", "2level"],
                    help="of event channels, where a test does not choose it (default: the module's own choice)")
    group.addoption("--cmdline", default="", help="more for the kernel's command line of guests with xpv")
    group.addoption("--memory", type=int, default=4096, help="MiB of the machine")


def pytest_configure(config):
    config.addinivalue_line("markers", "vcpus(*counts, more=()): the guests that a test of xpv wants, by vCPUs; more with --matrix")
    config.addinivalue_line("markers", "newest_kernel: run with the last of the kernels only")
    config.addinivalue_line("markers", "first: wants a guest in which xpv has not been loaded yet")
    config.addinivalue_line("markers", "matrix: takes long, and runs with --matrix only")


class Shape(typing.NamedTuple):
    """What tells a shared guest from the others."""
    fixture: str
    type: str
    kernel: str
    vcpus: int

    @property
    def disk(self):
        """MiB. Reading all of it takes its time; the largest test is for guests with many vCPUs."""
        return 128 if self.fixture == "intree" else 72 if self.vcpus >= 4 else 48


# One object for each, as pytest tells fixture parameters apart.
_shape = functools.cache(Shape)


def pytest_generate_tests(metafunc):
    kernels = metafunc.config.getoption("--kernel") or ["6.12"]
    matrix = metafunc.config.getoption("--matrix")
    if "xpv" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("vcpus")
        counts = list(marker.args) if marker else [2]
        counts += marker.kwargs.get("more", ()) if marker and matrix else ()
        counts += metafunc.config.getoption("--vcpus") if 4 in counts else []
        metafunc.parametrize("xpv", [
            pytest.param(_shape("xpv", "hvm", kernel, vcpus), id=f"{kernel}-{vcpus}vcpus")
            for kernel in kernels for vcpus in counts
            if matrix or kernel == kernels[0 if vcpus == 2 else -1]],
            indirect=True, scope="session")
    elif "intree" in metafunc.fixturenames:
        metafunc.parametrize("intree", [
            pytest.param(_shape("intree", type, kernel, 2), id=f"{type}-{kernel}")
            for kernel in kernels for type in TYPES
            if matrix or type == "pvh" and kernel == kernels[-1]], indirect=True, scope="session")
    elif "kernel" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("newest_kernel")
        metafunc.parametrize("kernel", kernels[-1:] if marker else kernels)


def _shape_of(item):
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return params.get("xpv") or params.get("intree")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Tests that share a guest come one after the other: those that must be
    first, then the others in the order of the files and of the lines in them.
    Those of in-tree drivers are the last: the last guest of a kind lives until
    all is over, and few tests bear it company then. Tests with machines of
    their own come before the shared machine, which would take a processor from
    them. What takes long is left out without --matrix."""
    if not config.getoption("--matrix"):
        long = [item for item in items if item.get_closest_marker("matrix")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]

    def order(shape):
        return (shape is not None, bool(shape) and shape.fixture == "intree", str(shape))

    def shares(item):
        return not {"host", "xpv", "intree"}.isdisjoint(item.fixturenames)

    items.sort(key=lambda item: (shares(item), *order(_shape_of(item)),
                                 not item.get_closest_marker("first"), str(item.path), item.location[1]))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A corrupting emulator says nothing about the code under test: neither
    passed nor failed, but reported apart, as skipped."""
    outcome = yield
    report = outcome.get_result()
    if call.excinfo and call.excinfo.errisinstance(EmulatorFault):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1], f"EMULATOR FAULT: {call.excinfo.value}")


@pytest.fixture(scope="session")
def host(request):
    """The machine: Xen and dom0, booted once."""
    with Host(memory=request.config.getoption("--memory")) as machine:
        machine.abi = request.config.getoption("--abi")
        machine.cmdline = request.config.getoption("--cmdline")
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


class _Fleet:
    """The guests that several tests share: while one is tested, the next one
    boots, unless together they have so many vCPUs that these would wait for
    one another's locks more than they would run."""

    def __init__(self, host, modules, shapes):
        self._host = host
        self._modules = modules
        self._shapes = shapes
        self._booting = {}

    def _start(self, shape):
        # All of the memory goes through the toolstack with each save and migration.
        guest = self._host.guest(type=shape.type, drivers=shape.fixture, modules=self._modules,
                                 kernel=shape.kernel, vcpus=shape.vcpus, memory=320, disks=[shape.disk],
                                 vifs=1 if shape.fixture == "intree" else 0,
                                 # The disk that tests take away while it is in use.
                                 expected=[r"I/O error, dev xvdf", r"Buffer I/O error on dev xvdf",
                                           r"(EXT4-fs|JBD2|Aborting journal).*\bxvdf"])
        self._booting[shape] = (guest, self._pool.submit(guest.boot))

    def start_first(self):
        if self._shapes:
            self._start(self._shapes[0])

    def take(self, shape):
        for wanted in self._shapes[self._shapes.index(shape):][:2]:
            few = shape.vcpus + wanted.vcpus <= VCPUS_AT_ONCE
            if wanted not in self._booting and (few or wanted == shape):
                self._start(wanted)
        guest, boot = self._booting[shape]
        boot.result()
        return guest

    def __enter__(self):
        self._pool = ThreadPoolExecutor()
        return self

    def __exit__(self, *_):
        self._pool.shutdown()
        for guest, _boot in self._booting.values():
            guest.stop(shutdown=False)      # those that no test has used and finished


@pytest.fixture(scope="session")
def _fleet(host, request):
    shapes = list(dict.fromkeys(filter(None, map(_shape_of, request.session.items))))
    with _Fleet(host, request.config.getoption("--modules"), shapes) as fleet:
        yield fleet


@pytest.fixture(scope="session", autouse=True)
def _first_guest(request):
    """The first of them boots while the tests that come before it run."""
    if request.config.getoption("--modules") and any(map(_shape_of, request.session.items)):
        request.getfixturevalue("_fleet").start_first()


def _shared_guest(request):
    if request.config.getoption("--modules") is None:
        pytest.skip("no --modules")
    guest = request.getfixturevalue("_fleet").take(request.param)
    yield guest
    guest.finish()


@pytest.fixture(scope="session")
def xpv(request):
    """An HVM guest booted with xen_nopv, shared by all tests of its shape; each
    loads xpv and unloads it. Its logs are checked at the end."""
    yield from _shared_guest(request)


@pytest.fixture(scope="session")
def intree(request):
    """A guest with the kernel's own drivers, one disk and one interface,
    shared by all tests of its shape. Its logs are checked at the end."""
    yield from _shared_guest(request)


@pytest.fixture(autouse=True)
def _without_xpv(request):
    """A test that failed leaves the next one of its guest a clean start."""
    yield
    if "xpv" in request.fixturenames:
        request.getfixturevalue("xpv").unload_xpv(check=False)


@pytest.fixture(autouse=True)
def _no_emulator_fault(request):
    """No test passes in whose time the emulator corrupted a guest."""
    if "host" not in request.fixturenames:
        yield
        return
    machine = request.getfixturevalue("host")
    position = machine.log_position()
    yield
    machine.raise_emulator_fault(position)
