# SPDX-License-Identifier: GPL-2.0-only
"""What guests and dom0 run of tests/lab/inside and is built here first."""

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

from .initrd import INSIDE


@functools.cache
def program(name, *options):
    """The program of name.c; it brings its libraries along."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / name
        subprocess.run(["gcc", "-O2", "-static", "-s", "-Wall", "-Wextra", "-Werror", "-o", path,
                        INSIDE / f"{name}.c", *options], check=True)
        return path.read_bytes()


@functools.cache
def module(name, release):
    """The kernel module of the folder `name` for that kernel."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / name
        shutil.copytree(INSIDE / name, folder)
        subprocess.run(["make", "-s", "-C", f"/usr/src/linux-headers-{release}", f"M={folder}", "CONFIG_DEBUG_INFO_BTF_MODULES=",
                        "modules"], check=True)
        subprocess.run(["strip", "--strip-debug", folder / f"{name}.ko"], check=True)
        return (folder / f"{name}.ko").read_bytes()


def watchers():
    return program("watchers", "-pthread")
