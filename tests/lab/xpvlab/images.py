# SPDX-License-Identifier: GPL-2.0-only
"""The root file systems of dom0 and of the guests.

They hold Debian packages and kernel modules, nothing of the lab's own: the
lab's scripts travel in the initrds (see initrd.py), so that a change to them
rebuilds nothing slow.
"""

import gzip
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import cache, debian, kernels
from .progress import run_logged, step

XEN = "xen-hypervisor-4.17-amd64"
DOM0_KERNEL = "6.12"

COMMON = """
    busybox-static mount udev kmod e2fsprogs util-linux iproute2 coreutils
    procps python3 iperf3 less nano-tiny
""".split()
DOM0 = COMMON + """
    xen-utils-4.17 xen-utils-common qemu-system-xen bridge-utils
    iputils-ping tcpdump ethtool
""".split()
GUEST = COMMON + """
    fio iputils-ping ethtool xenstore-utils pciutils stress-ng xdp-tools
""".split()


@dataclass
class Dom0Image:
    disk: Path
    xen: Path
    kernel: kernels.Kernel
    busybox: Path


@dataclass
class GuestImage:
    root: Path
    busybox: Path
    kernels: dict


def _bootstrap(directory, packages):
    root = directory / "root"
    log = directory / "build.log"
    (directory / "machine.sources").write_text(debian.sources())
    run_logged(["mmdebstrap", "--variant=essential", "--mode=root",
                f"--include={','.join(packages)}",
                "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/doc/*",
                "--dpkgopt=path-exclude=/usr/share/locale/*",
                debian.RELEASE, root, directory / "machine.sources"], log)
    for path in ("var/lib/apt/lists", "var/cache/apt"):
        shutil.rmtree(root / path, ignore_errors=True)
    shutil.copy2(root / "bin" / "busybox", directory / "busybox")
    (root / "lab").mkdir()
    return root


def _add_modules(root, kernel):
    shutil.copytree(kernel.tree, root / "lib" / "modules" / kernel.release, symlinks=True)


def _versions(packages):
    return " ".join(f"{p}={v}" for p, v in debian.candidates(packages).items())


def dom0():
    """dom0's disk, with Xen and dom0's kernel."""
    kernel = kernels.kernel(DOM0_KERNEL)
    xen = kernels.unpacked(XEN)

    def build(directory):
        with step("building dom0's disk (about a minute)"):
            root = _bootstrap(directory, DOM0)
            _add_modules(root, kernel)
            disk = directory / "dom0.ext4"
            with open(disk, "wb") as file:
                file.truncate(8 << 30)
            run_logged(["/usr/sbin/mke2fs", "-q", "-t", "ext4", "-O", "^has_journal",
                        "-d", root, disk], directory / "build.log")
            shutil.rmtree(root)
            packed, = (xen / "boot").glob("xen-4.17*.gz")
            (directory / "xen").write_bytes(gzip.decompress(packed.read_bytes()))

    entry = cache.entry("dom0", {"packages": _versions(DOM0), "xen": str(xen),
                                 "kernel": str(kernel.tree), "recipe": 1}, build)
    return Dom0Image(entry / "dom0.ext4", entry / "xen", kernel, entry / "busybox")


def guest():
    """The guests' read-only root, one for all guest types and kernels."""
    kernel = {series: kernels.kernel(series) for series in kernels.available()}

    def build(directory):
        with step("building the guests' root file system (about a minute)"):
            root = _bootstrap(directory, GUEST)
            for one in kernel.values():
                _add_modules(root, one)
            # xvda is also an emulated IDE disk to an HVM guest. Nothing in
            # the lab may touch it by that way.
            (root / "etc/modprobe.d/xpv-lab.conf").write_text("blacklist sd_mod\n")
            run_logged(["mksquashfs", root, directory / "root.sqfs", "-comp", "lz4",
                        "-noappend", "-no-progress"], directory / "build.log")
            shutil.rmtree(root)

    entry = cache.entry("guest", {"packages": _versions(GUEST), "recipe": 1,
                                  "kernels": [str(k.tree) for k in kernel.values()]}, build)
    return GuestImage(entry / "root.sqfs", entry / "busybox", kernel)
