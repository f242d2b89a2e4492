# SPDX-License-Identifier: GPL-2.0-only
import functools
import glob
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import checks

ROOT = Path(__file__).resolve().parents[2]


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


def pytest_generate_tests(metafunc):
    if "kernel" in metafunc.fixturenames:
        metafunc.parametrize("kernel", kernels(), ids=lambda kernel: kernel.release)
