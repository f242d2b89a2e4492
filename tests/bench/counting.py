# SPDX-License-Identifier: GPL-2.0-only
"""Benchmark modules: how they are built, run, and what QEMU's plugin (counter.c) counts of them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lab"))

from xpvlab.guest import AS_LOAD  # noqa: E402
from xpvlab.payload import module_dir  # noqa: E402

# As the plugin names them, and as the tables do.
KINDS = {"instructions": "instructions", "locked": "locked", "fences": "fences", "hypercalls": "hypercalls",
         "entries": "entries into Xen"}


def build(scratch, kernel, modules, folder):
    """The benchmark modules of a folder for this kernel; their paths by name."""
    copy = Path(scratch) / folder
    shutil.copytree(HERE / folder, copy)
    shutil.copy(HERE / "bench.h", copy)
    built = module_dir(modules, kernel)
    shutil.copy(next(built.glob("**/Module.symvers")), copy / "xpv.symvers")
    subprocess.run(["make", "-s", "-C", f"/usr/src/linux-headers-{kernel.release}", f"M={copy}",
                    f"KBUILD_EXTRA_SYMBOLS={copy}/xpv.symvers", f"ccflags-y=-I{ROOT}", "modules"], check=True)
    return {path.stem: path for path in copy.glob("*.ko")}


def counts(guest, module, parameters=""):
    """What the module measured: {name: (smallest, median, largest)}."""
    guest.run(f"dmesg -C; {AS_LOAD} insmod /lab/payload/files/{module}.ko {parameters}", timeout=1800)
    found = {}
    for line in guest.run("dmesg").out.splitlines():
        match = re.search(rf"{module}: bench: (\S+) (\d+) (\d+) (\d+)", line)
        if match:
            found[match[1]] = tuple(map(int, match.groups()[1:]))
    if found["missed"][0]:
        sys.exit(f"{module} {parameters}: {found['missed'][0]} times not what was to be counted")
    guest.run(f"rmmod {module}", timeout=1800)
    return found


def by_kind(path, skip, names):
    """{name: {kind: median}} of the lines that the plugin wrote after the first `skip`, without those of an empty round."""
    lines = Path(path).read_text().splitlines()[skip:]
    if len(lines) != len(names):
        sys.exit(f"{len(lines)} measures counted, {len(names)} made")
    found = {}
    for name, line in zip(names, lines):
        _, _, *words = line.split()
        found[name] = {words[i]: int(words[i + 1]) for i in range(0, len(words), 3)}
    empty = found["empty"]
    known = {kind: found["known"][kind] - empty[kind] for kind in ("locked", "fences")}
    if known != {"locked": 2, "fences": 1}:
        sys.exit(f"the plugin cannot count: {known}")
    return {name: {kind: value - empty[kind] for kind, value in kinds.items()} for name, kinds in found.items()}


def measured(log, guest, module, parameters=""):
    """by_kind() of one run of the module, whose measures the plugin writes to `log`."""
    skip = len(log.read_text().splitlines())
    return by_kind(log, skip, [name for name in counts(guest, module, parameters) if name != "missed"])
