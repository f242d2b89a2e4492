# SPDX-License-Identifier: GPL-2.0-only
"""What a run brings into its guest: a CD with the xpv modules and their load
order, mounted at /lab/payload. An HVM guest boots from it too, which is
faster than xl's direct kernel boot (docs/lab.md).
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from .errors import LabError


def module_dir(directory, kernel):
    """Where a directory of modules keeps those for this kernel: in a
    subdirectory named by series or release, or in itself."""
    directory = Path(directory)
    for one in (directory / kernel.series, directory / kernel.release, directory):
        if list(one.rglob("*.ko")):
            return one
    raise LabError(f"no .ko files for {kernel.release} in {directory}")


def _modinfo(path, field):
    return subprocess.run(["/usr/sbin/modinfo", "-F", field, path], check=True,
                          capture_output=True, text=True).stdout.strip()


def _order(modules):
    """Lines 'module dependency...', dependencies first."""
    lines = []
    done = set()

    def visit(name):
        if name in done:
            return
        done.add(name)
        needs = [n.replace("-", "_") for n in _modinfo(modules[name], "depends").split(",") if n]
        for need in needs:
            if need in modules:
                visit(need)
        lines.append(" ".join([name, *(n for n in needs if n not in modules)]))

    for name in sorted(modules):
        visit(name)
    return lines


def _make_bootable(root, kernel, initrd, cmdline):
    boot = root / "isolinux"
    boot.mkdir()
    shutil.copyfile("/usr/lib/ISOLINUX/isolinux.bin", boot / "isolinux.bin")
    shutil.copyfile("/usr/lib/syslinux/modules/bios/ldlinux.c32", boot / "ldlinux.c32")
    shutil.copyfile(kernel.vmlinuz, root / "vmlinuz")
    (root / "initrd").write_bytes(initrd)
    (boot / "isolinux.cfg").write_text(
        "DEFAULT lab\nPROMPT 0\nLABEL lab\n  LINUX /vmlinuz\n  INITRD /initrd\n"
        f"  APPEND {cmdline}\n")
    return ["-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot",
            "-boot-load-size", "4", "-boot-info-table"]


def build(path, kernel, modules=None, files=(), initrd=None, cmdline=""):
    """Write the CD image, bootable if there is an initrd. `files` go to
    /lab/payload/files."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        (root / "modules").mkdir(parents=True)
        (root / "files").mkdir()
        (root / "payload.txt").write_text("xpv lab payload\n")
        if modules:
            found = {}
            for source in sorted(module_dir(modules, kernel).rglob("*.ko")):
                built_for = _modinfo(source, "vermagic").split()[0]
                if built_for != kernel.release:
                    raise LabError(f"{source} is built for {built_for}, "
                                   f"the guest runs {kernel.release}")
                target = root / "modules" / (source.stem.replace("-", "_") + ".ko")
                subprocess.run(["strip", "--strip-debug", "-o", target, source], check=True)
                found[target.stem] = target
            (root / "modules" / "order").write_text("".join(f"{l}\n" for l in _order(found)))
        for file in files:
            shutil.copy2(file, root / "files")
        boot = _make_bootable(root, kernel, initrd, cmdline) if initrd else []
        subprocess.run(["genisoimage", "-quiet", "-R", "-o", path, *boot, root],
                       check=True, stderr=subprocess.DEVNULL)
