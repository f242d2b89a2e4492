# SPDX-License-Identifier: GPL-2.0-only
"""The emulator that runs Xen: QEMU without the faults that corrupt guests.

Built from Debian's source package plus qemu/*.patch. Where source packages
cannot be had, the stock binary is used, and HVM vCPUs are kept off physical
CPU 0, the only one that the worst of the faults hits.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import cache, debian
from .errors import LabError
from .progress import run_logged, say, step

PATCHES = sorted((Path(__file__).parent.parent / "qemu").glob("*.patch"))
CONFIGURE = ["--target-list=x86_64-softmmu", "--without-default-features",
             "--enable-tcg", "--enable-virtfs", "--enable-attr", "--enable-cap-ng",
             "--meson=/usr/bin/meson", "--disable-docs"]
# Debian's own python and meson, whatever else is installed.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
FIRMWARE = ["/usr/share/seabios", "/usr/share/qemu", "/usr/lib/ipxe/qemu"]


@dataclass
class Emulator:
    binary: str
    trusted: bool
    options: list


def _build(directory, configure):
    work = directory / "work"
    work.mkdir()
    log = directory / "build.log"
    with step("building QEMU from Debian's source package (about 2 minutes)"):
        source = debian.fetch_source("qemu", work, log)
        for patch in PATCHES:
            run_logged(["patch", "-p1", "-i", patch], log, cwd=source)
        run_logged(["./configure", *configure], log, cwd=source, env={"PATH": PATH})
        run_logged(["ninja", "-C", "build", "qemu-system-x86_64"], log, cwd=source,
                   env={"PATH": PATH})
        shutil.copy2(source / "build" / "qemu-system-x86_64", directory)
    shutil.rmtree(work)


def _build_plugin(directory, source):
    work = directory / "work"
    work.mkdir()
    log = directory / "build.log"
    with step(f"building QEMU's plugin {source.stem}"):
        headers = debian.fetch_source("qemu", work, log) / "include" / "qemu"
        run_logged(["gcc", "-O2", "-Wall", "-shared", "-fPIC", f"-I{headers}", "-o", directory / "plugin.so", source], log)
    shutil.rmtree(work)


def plugin(source):
    """A plugin for the emulator, from one C file; its path."""
    inputs = {"version": debian.candidate("qemu-system-x86"), "source": source}
    return cache.entry(f"plugin-{source.stem}", inputs, lambda directory: _build_plugin(directory, source)) / "plugin.so"


def build(plugins=False):
    """The emulator to use, built first if need be; one for itself that takes plugins."""
    stock = shutil.which("qemu-system-x86_64")
    configure = CONFIGURE + ["--enable-plugins"] * plugins
    inputs = {"version": debian.candidate("qemu-system-x86"), "configure": configure,
              **{patch.name: patch for patch in PATCHES}}
    if os.environ.get("XPV_LAB_QEMU") != "stock":
        try:
            entry = cache.entry("qemu", inputs, lambda directory: _build(directory, configure))
            return Emulator(str(entry / "qemu-system-x86_64"), True,
                            [o for d in FIRMWARE for o in ("-L", d)])
        except LabError as error:
            say(f"cannot build QEMU: {error}")
    if not stock:
        raise LabError("no qemu-system-x86_64: install qemu-system-x86")
    say("using the stock QEMU: HVM guests are pinned off physical CPU 0")
    return Emulator(stock, False, [])
