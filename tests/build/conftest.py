# SPDX-License-Identifier: GPL-2.0-only
"""The kernels to build for, make, and fixtures whose builds begin before the first test."""

import functools
import glob
import inspect
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import checks

ROOT = Path(__file__).resolve().parents[2]
BUILDERS = {}


@functools.cache
def kernels():
    """The kernels to build for: those of XPV_KERNELS (build directories), or all installed headers packages."""
    chosen = os.environ.get("XPV_KERNELS", "").split()
    found = chosen or sorted(glob.glob("/usr/src/linux-headers-6.1.*-amd64") +
                             glob.glob("/usr/src/linux-headers-6.12.*-amd64"))
    return [checks.Kernel(directory) for directory in found]


def make(*arguments):
    """Run make for the project; its whole output."""
    result = subprocess.run(["make", f"-j{os.cpu_count()}", *map(str, arguments)], text=True, cwd=ROOT,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return result.returncode, result.stdout


def early(function):
    """A fixture of the function's name that is made once, or once for each kernel if `kernel` is a parameter, and
    begun before the first test. The function's first parameter is a directory of its own."""
    name = function.__name__
    BUILDERS[name] = function
    if "kernel" in inspect.signature(function).parameters:
        @pytest.fixture(name=name)
        def fixture(_early, kernel):
            return _early[name, kernel].result()
    else:
        @pytest.fixture(name=name, scope="session")
        def fixture(_early):
            return _early[name, None].result()
    return fixture


@pytest.fixture(scope="session")
def _early(request, tmp_path_factory):
    """What the chosen tests want of early(), in their order and two at a time: much of a build keeps one processor
    busy only, and so do most tests."""
    pool = ThreadPoolExecutor(2)
    begun = {}
    for item in request.session.items:
        for name in (name for name in item.fixturenames if name in BUILDERS):
            of_kernel = "kernel" in inspect.signature(BUILDERS[name]).parameters
            kernel = item.callspec.params["kernel"] if of_kernel else None
            if (name, kernel) not in begun:
                folder = tmp_path_factory.mktemp(f"{name}-{kernel.release}" if kernel else name, numbered=False)
                begun[name, kernel] = pool.submit(BUILDERS[name], folder, *filter(None, [kernel]))
    yield begun
    pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session", autouse=True)
def _begin(request):
    if any(name in BUILDERS for item in request.session.items for name in item.fixturenames):
        request.getfixturevalue("_early")


def pytest_generate_tests(metafunc):
    if "kernel" in metafunc.fixturenames:
        metafunc.parametrize("kernel", kernels(), ids=lambda kernel: kernel.release)
