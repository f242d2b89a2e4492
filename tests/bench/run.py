#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Count what xpv's primitives cost, against the kernel's own on the same Xen.

    tests/bench/run.py primitives|suspend|xenbus [--modules DIR] [--kernel 6.1|6.12] [--vcpus N]...

suspend, xenbus: see suspend.py and xenbus.py. primitives:

Two guests with the same kernel boot on one machine whose clock counts
instructions: one with the kernel's own Xen support, one with xpv. A module in
each runs every primitive many times with interrupts off. The table has the
median and the smallest count, less what an empty round counts; the kernel's
own is measured twice, and how far the two runs are apart is the noise.
Hypercalls and locked instructions of the paths are counted from xpv's and the
kernel's code, see docs/performance.md.
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
from xpvlab import Host  # noqa: E402
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


def report(intree, again, xpv, others):
    rows = [("issue and revoke a grant, per-CPU list", "grant", "grant"),
            ("issue and revoke a grant, own pool", "grant-pool", "grant-pool"),
            ("issue and revoke 11 grants, own pool", "grant-batch", "grant-batch"),
            ("event to handler, FIFO", "event", "event"),
            ("event to handler, FIFO, with late EOI", "event-lateeoi", "event"),
            ("notify", "notify", "notify")]
    print("| primitive | in-tree, median (smallest) | again | xpv | ratio of medians |")
    print("|---|---|---|---|---|")
    for text, theirs, ours in rows:
        a, b, c = net(intree, theirs), net(again, theirs), net(xpv, ours)
        print(f"| {text} | {a[0]} ({a[1]}) | {b[0]} ({b[1]}) | {c[0]} ({c[1]}) | {c[0] / a[0]:.2f} |")
    for text, found in others.items():
        c = net(found, "event")
        print(f"| event to handler, {text} | | | {c[0]} ({c[1]}) | {c[0] / net(intree, 'event-lateeoi')[0]:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=["primitives", "suspend", "xenbus"])
    parser.add_argument("--modules", type=Path, default=ROOT / "build")
    parser.add_argument("--kernel", choices=["6.1", "6.12"], default="6.12")
    parser.add_argument("--vcpus", type=int, action="append", help="of the suspended guests; may be repeated")
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


if __name__ == "__main__":
    main()
