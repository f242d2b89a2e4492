# SPDX-License-Identifier: GPL-2.0-only
"""Stock Debian kernels: the versions whose headers this machine has.

xpv's modules are built against the installed linux-headers packages, so the
lab boots exactly those versions. The image packages are only unpacked: the
lab makes initrds of its own.
"""

import lzma
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import cache, debian
from .errors import LabError
from .progress import run_logged, step

SERIES = ("6.1", "6.12")
# With PREEMPT_RT; there if its headers are installed.
REALTIME = ("6.1-rt",)

# Modules that no lab machine can use, left out to keep the images small.
PRUNE = """
    sound drivers/gpu drivers/media drivers/infiniband drivers/net/wireless
    drivers/staging drivers/iio drivers/usb drivers/hwmon drivers/hid
    drivers/comedi drivers/isdn drivers/mfd drivers/platform drivers/bluetooth
    drivers/net/can drivers/input drivers/mtd drivers/firewire drivers/leds
    drivers/accel drivers/regulator drivers/power drivers/rtc net/bluetooth
    net/wireless net/mac80211 fs/xfs fs/btrfs fs/ocfs2 fs/f2fs fs/ceph
""".split()


@dataclass
class Kernel:
    series: str         # with a flavour: 6.1-rt
    release: str
    vmlinuz: Path
    tree: Path          # lib/modules/RELEASE


def _releases(series):
    """uname -r of all installed headers of a series, the newest last."""
    number, _, flavour = series.partition("-")
    flavour = f"-{flavour}" if flavour else ""
    found = []
    for path in Path("/usr/src").glob(f"linux-headers-{number}.*{flavour}-amd64"):
        name = path.name.removeprefix("linux-headers-")
        if re.fullmatch(rf"[0-9.]+(-\d+|\+deb\d+)(\.\d+)?{flavour}-amd64", name):
            found.append(([int(n) for n in re.findall(r"\d+", name)], name))
    return [name for _, name in sorted(found)]


def release(series):
    """uname -r of the newest installed headers of a series."""
    found = _releases(series)
    if not found:
        raise LabError(f"no kernel headers of series {series} here: run 'lab deps'")
    return found[-1]


def available():
    """The series that guests can boot."""
    return [*SERIES, *(series for series in REALTIME if _releases(series))]


def _unpack(package, version):
    def build(directory):
        log = directory / "build.log"
        with step(f"fetching {package}"):
            run_logged(["apt-get", "-o", "APT::Sandbox::User=root", "download",
                        f"{package}={version}"], log, cwd=directory)
            deb, = directory.glob("*.deb")
            run_logged(["dpkg-deb", "-x", deb, directory / "root"], log)
            deb.unlink()
    return build


def unpacked(package):
    """A package's files, without installing it."""
    version = debian.candidate(package)
    if version is None:
        raise LabError(f"the archive has no {package}: run 'lab deps' for new headers")
    return cache.entry(f"deb-{package}", {"package": package, "version": version},
                       _unpack(package, version)) / "root"


def kernel(series):
    name = release(series)
    source = unpacked(f"linux-image-{name}")

    def build(directory):
        tree = directory / "lib" / "modules" / name
        shutil.copytree(source / "lib" / "modules" / name, tree, symlinks=True)
        for path in PRUNE:
            shutil.rmtree(tree / "kernel" / path, ignore_errors=True)
        # Emulated machines are slow at unpacking; the file systems are compressed.
        for packed in tree.rglob("*.ko.xz"):
            packed.with_suffix("").write_bytes(lzma.decompress(packed.read_bytes()))
            packed.unlink()
        shutil.copy2(source / "boot" / f"vmlinuz-{name}", directory / "vmlinuz")
        subprocess.run(["/usr/sbin/depmod", "-b", directory, name], check=True)

    entry = cache.entry(f"kernel-{series}", {"source": str(source), "prune": PRUNE},
                        build)
    return Kernel(series, name, entry / "vmlinuz", entry / "lib" / "modules" / name)
