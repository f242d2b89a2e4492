#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Count what xpv's primitives cost, against the kernel's own on the same Xen.

    tests/bench/run.py primitives|suspend|xenbus|net [--modules DIR] [--kernel 6.1|6.12] [--vcpus N]... [--disks N]... [--nics N]...
                       [--part counts|traffic] [--rounds N] [--seconds N]

suspend, xenbus, net: see suspend.py, xenbus.py and net.py. primitives:

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
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lab"))

import net  # noqa: E402
import suspend  # noqa: E402
import xenbus  # noqa: E402
from counting import KINDS, build, counts, measured  # noqa: E402
from xpvlab import Host, qemu  # noqa: E402


def less_empty(found, name):
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
        a, b, c = (less_empty(*one) for one in ((intree, theirs), (again, theirs), (xpv, ours)))
        print(f"| {text} | {a[0]} ({a[1]}) | {b[0]} ({b[1]}) | {c[0]} ({c[1]}) | {c[0] / a[0]:.2f} |")
    for text, found in others.items():
        c = less_empty(found, "event")
        print(f"| event to handler, {text} | | | {c[0]} ({c[1]}) | {c[0] / less_empty(intree, 'event-lateeoi')[0]:.2f} |")


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
        built = build(scratch, kernel, options.modules, "primitives")
        common = dict(type="hvm", kernel=options.kernel, vcpus=2, modules=options.modules,
                      files=list(built.values()), config='cpus = ["0", "1"]', boot_timeout=3600)
        with host.guest(drivers="intree", **common) as guest:
            intree, again = measured(log, guest, "bench_intree"), measured(log, guest, "bench_intree")
        with host.guest(drivers="xpv", **common) as guest:
            guest.load_xpv(timeout=1800)
            xpv = measured(log, guest, "bench_xpv")
            guest.unload_xpv()
        report_kinds(intree, again, xpv)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=["primitives", "suspend", "xenbus", "net"])
    parser.add_argument("--modules", type=Path, default=ROOT / "build")
    parser.add_argument("--kernel", choices=["6.1", "6.12"], default="6.12")
    parser.add_argument("--vcpus", type=int, action="append", help="of the suspended guests; may be repeated")
    parser.add_argument("--disks", type=int, action="append", help="likewise")
    parser.add_argument("--nics", type=int, action="append", help="of the migrated guests, instead of suspended ones; likewise")
    parser.add_argument("--part", choices=list(net.PARTS), action="append", help="of net; may be repeated; default: all")
    parser.add_argument("--rounds", type=int, default=3, help="of net's traffic, and of migrations (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=1, help="of each measure of net's traffic (default: %(default)s)")
    options = parser.parse_args()
    if options.suite != "primitives":
        {"suspend": suspend, "xenbus": xenbus, "net": net}[options.suite].main(options)
        return
    with tempfile.TemporaryDirectory() as scratch, Host(counting=True) as host:
        kernel = host.guest_image.kernels[options.kernel]
        built = build(scratch, kernel, options.modules, "primitives")
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
