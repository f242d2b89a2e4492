#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Count what xpv's primitives cost, against the kernel's own on the same Xen.

    tests/bench/run.py primitives|suspend|xenbus [--modules DIR] [--kernel 6.1|6.12] [--vcpus N]... [--disks N]...

suspend, xenbus: see suspend.py and xenbus.py. primitives:

Two guests with the same kernel boot on one machine whose clock counts
instructions: one with the kernel's own Xen support, one with xpv. A module in
each runs every primitive many times with interrupts off. The table has the
median and the smallest count, less what an empty round counts; the kernel's
own is measured twice, and how far the two runs are apart is the noise.

Then the same on a machine with two processors, each with one of the guest's
vCPUs, whose emulator counts what each round executes by kind (counter.c), and
with another CPU that does the same at the same time.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lab"))

import suspend  # noqa: E402
import xenbus  # noqa: E402
from xpvlab import Host, qemu  # noqa: E402
from xpvlab.payload import module_dir  # noqa: E402


def build(scratch, kernel, modules):
    """The benchmark modules for this kernel; their paths by name."""
    folder = Path(scratch) / "primitives"
    shutil.copytree(ROOT / "tests/bench/primitives", folder)
    built = module_dir(modules, kernel)
    shutil.copy(next(built.glob("**/Module.symvers")), folder / "xpv.symvers")
    subprocess.run(["make", "-s", "-C", f"/usr/src/linux-headers-{kernel.release}", f"M={folder}",
                    f"KBUILD_EXTRA_SYMBOLS={folder}/xpv.symvers", f"ccflags-y=-I{ROOT}", "modules"], check=True)
    return {path.stem: path for path in folder.glob("*.ko")}


def counts(guest, module):
    """What the module measured: {name: (smallest, median, largest)}."""
    guest.run(f"dmesg -C; insmod /lab/payload/files/{module}.ko && rmmod {module}", timeout=1800)
    found = {}
    for line in guest.run("dmesg").out.splitlines():
        match = re.search(rf"{module}: bench: (\S+) (\d+) (\d+) (\d+)", line)
        if match:
            found[match[1]] = tuple(map(int, match.groups()[1:]))
    if found["missed"][0]:
        sys.exit(f"{module}: {found['missed'][0]} events were not handled where they were counted")
    return found


def net(found, name):
    """Median and smallest of a measure, without what measuring costs."""
    return (found[name][1] - found["empty"][1], found[name][0] - found["empty"][0])


# What a row says, and what the module with the kernel's own drivers and the one with xpv's call it.
# Rivals are there only on a guest with two CPUs.
ROWS = [("issue and revoke a grant, per-CPU list", "grant", "grant"),
        ("the same, another CPU too", "grant-contended", "grant-contended"),
        ("issue and revoke a grant, own pool", "grant-pool", "grant-pool"),
        ("issue and revoke 11 grants, own pool", "grant-batch", "grant-batch"),
        ("event to handler, FIFO", "event", "event"),
        ("event to handler, FIFO, with late EOI", "event-lateeoi", "event"),
        ("notify", "notify", "notify")]


def rows(intree):
    return [row for row in ROWS if row[1] in intree]


def report(intree, again, xpv, others):
    print("| primitive | in-tree, median (smallest) | again | xpv | ratio of medians |")
    print("|---|---|---|---|---|")
    for text, theirs, ours in rows(intree):
        a, b, c = net(intree, theirs), net(again, theirs), net(xpv, ours)
        print(f"| {text} | {a[0]} ({a[1]}) | {b[0]} ({b[1]}) | {c[0]} ({c[1]}) | {c[0] / a[0]:.2f} |")
    for text, found in others.items():
        c = net(found, "event")
        print(f"| event to handler, {text} | | | {c[0]} ({c[1]}) | {c[0] / net(intree, 'event-lateeoi')[0]:.2f} |")


# As the plugin names them, and as the table does.
KINDS = {"instructions": "instructions", "locked": "locked", "fences": "fences", "hypercalls": "hypercalls",
         "entries": "entries into Xen"}


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


def report_kinds(intree, again, xpv):
    print(f"| primitive | | {' | '.join(KINDS.values())} |")
    print(f"|---|---|{'---|' * len(KINDS)}")
    for text, theirs, ours in rows(intree):
        for who, found in (("in-tree", intree[theirs]), ("in-tree again", again[theirs]), ("xpv", xpv[ours])):
            print(f"| {text} | {who} | {' | '.join(str(found[kind]) for kind in KINDS)} |")


def count_by_kind(options, scratch):
    log = Path(scratch) / "counted"
    plugin = qemu.plugin(ROOT / "tests/bench/counter.c")
    with Host(cpus=2, plugin=f"file={plugin},out={log}", boot_timeout=1800) as host:
        kernel = host.guest_image.kernels[options.kernel]
        built = build(scratch, kernel, options.modules)

        def measured(guest, module):
            skip = len(log.read_text().splitlines())
            return by_kind(log, skip, [name for name in counts(guest, module) if name != "missed"])

        common = dict(type="hvm", kernel=options.kernel, vcpus=2, modules=options.modules,
                      files=list(built.values()), config='cpus = ["0", "1"]', boot_timeout=3600)
        with host.guest(drivers="intree", **common) as guest:
            intree, again = measured(guest, "bench_intree"), measured(guest, "bench_intree")
        with host.guest(drivers="xpv", **common) as guest:
            guest.load_xpv(timeout=1800)
            xpv = measured(guest, "bench_xpv")
            guest.unload_xpv()
        report_kinds(intree, again, xpv)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=["primitives", "suspend", "xenbus"])
    parser.add_argument("--modules", type=Path, default=ROOT / "build")
    parser.add_argument("--kernel", choices=["6.1", "6.12"], default="6.12")
    parser.add_argument("--vcpus", type=int, action="append", help="of the suspended guests; may be repeated")
    parser.add_argument("--disks", type=int, action="append", help="likewise")
    options = parser.parse_args()
    if options.suite != "primitives":
        {"suspend": suspend, "xenbus": xenbus}[options.suite].main(options)
        return
    with tempfile.TemporaryDirectory() as scratch, Host(counting=True) as host:
        kernel = host.guest_image.kernels[options.kernel]
        built = build(scratch, kernel, options.modules)
        common = dict(type="hvm", kernel=options.kernel, vcpus=1, modules=options.modules,
                      files=list(built.values()), config='tsc_mode = "native"', boot_timeout=3600)
        with host.guest(drivers="intree", **common) as guest:
            intree, again = counts(guest, "bench_intree"), counts(guest, "bench_intree")
        with host.guest(drivers="xpv", **common) as guest:
            # In this order: what comes later cannot be left in a domain.
            runs = []
            for parameters in ("abi=2level", "", "upcall=vector"):
                guest.load_xpv(evtchn=parameters, timeout=1800)
                runs.append(counts(guest, "bench_xpv"))
                guest.unload_xpv()
        report(intree, again, runs[1], {"2-level": runs[0], "FIFO, a vector for each vCPU": runs[2]})
    with tempfile.TemporaryDirectory() as scratch:
        count_by_kind(options, scratch)


if __name__ == "__main__":
    main()
