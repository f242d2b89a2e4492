# SPDX-License-Identifier: GPL-2.0-only
"""What a suspend costs the guest, against the kernel's own.

Three clocks together make the outage that is the guest's doing:

- A thread on each vCPU reads the monotonic clock (tests/lab/inside/watchers.c),
  all the time with load, otherwise every few milliseconds, so that the machine
  is idle: there are more vCPUs than it has processors, and threads that are
  never done would wait for each other. That clock stands still from
  syscore_suspend() to syscore_resume() with both implementations, so the
  longest gap that a thread sees is what the guest spends before and after:
  with the kernel's own, from freezing its tasks to thawing them.
- CPU 0's time with interrupts off, by its time stamp counter: up to the
  hypercall, and from the hypercall's return. Of xpv from its own record in
  debugfs, of the kernel's own from probes at the functions around the
  hypercall. The part of it in which the monotonic clock stands still is added
  to the threads' gap; with the kernel's own that is all of it, with xpv the
  clock goes on before the other vCPUs are back.
- With load, the longest time between two acknowledged fsyncs of a writer
  (tests/lab/inside/fsyncs.py), while another process reads the disk.

The requests to the store are counted from xenstored's log, from the new
domain's first to the last disk's "connected"; the longest chain of those for
devices that had to wait for one another as in xenbus.py. Its hypercalls are
counted from Xen's own trace, up to the first block that a reader gets
(tests/lab/inside/reads.c).

A thread misses some time without any suspend; the fit over the number of vCPUs
is of the outage less that.

With --nics guests are migrated instead, and seen from the network: netoutage.py.

The lab's processors are emulated, so the figures compare; they are no times.
"""

import itertools
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lab"))

import netoutage  # noqa: E402
import xenbus  # noqa: E402
import xentrace  # noqa: E402
from background import STOP  # noqa: E402
from xpvlab import Disk, Host, built, initrd  # noqa: E402
from xpvlab.guest import AS_LOAD  # noqa: E402
from xpvlab.storetool import vdev  # noqa: E402
from xpvlab.underload import IMAGE  # noqa: E402
from xpvlab.waiting import wait_until  # noqa: E402

FSYNCS = (initrd.INSIDE / "fsyncs.py").read_text()
ROUNDS = 3
# How long the threads on the vCPUs of an idle guest sleep.
IDLE_MS = 20
PROBES = """
set -e
echo x86-tsc >trace_clock
echo 'p:xpv_bench/entering xen_arch_pre_suspend' >>kprobe_events
echo 'p:xpv_bench/returned xen_arch_post_suspend' >>kprobe_events
echo 1 >events/xpv_bench/enable
echo 1 >events/power/suspend_resume/enable
"""
MARK = int(re.search(r"^#define MARK (\w+)$", (initrd.INSIDE / "reads.c").read_text(), re.M)[1], 0)
PROBE = re.compile(r"\s(\d+): (entering|returned|suspend_resume): (.*)$", re.M)


@dataclass(frozen=True)
class Case:
    """A guest; `loads`: as what it is measured."""
    vcpus: int
    disks: int = 1
    loads: tuple = ("idle",)

    def __str__(self):
        return f"{self.vcpus} | {self.disks}"


CASES = [Case(1), Case(2), Case(4, loads=("idle", "loaded")), Case(8), Case(4, disks=4), Case(4, disks=16)]


def checkpoint(guest):
    guest.checkpoint(IMAGE)


def save_and_restore(guest):
    guest.save(IMAGE)
    guest.restore(IMAGE)


WAYS = {"no suspend": lambda guest: None, "cancelled": checkpoint, "restored": save_and_restore}


def probed(trace, khz):
    """ms with interrupts off in the last suspend, up to the hypercall and
    after it, and how much of that the monotonic clock stood still."""
    at = {}
    for cycles, name, rest in PROBE.findall(trace):
        if name == "suspend_resume":
            match = re.match(r"(syscore_suspend|syscore_resume)\[\d+\] (begin|end)", rest)
            if not match:
                continue
            name = " ".join(match.groups())
        at[name] = int(cycles)
    off = (at["entering"] - at["syscore_suspend begin"] + at["syscore_resume end"] - at["returned"]) / khz
    return off, off


def recorded(text):
    """The same of xpv, from its record."""
    at = {name: int(value) for name, value in re.findall(r"^(\w+) (\d+)$", text, re.M)}
    before = at["entering"] - at["stopped"] - at["returned"]
    return (before + at["cpus_back"]) / 1e6, (before + at["early_done"]) / 1e6


def hypercalls(trace):
    """How many there were before the first block was read."""
    count = 0
    for event, word in xentrace.records(trace):
        if event == xentrace.CPUID and word == MARK:
            return count
        count += event == xentrace.VMMCALL
    sys.exit("Xen's trace has no end: no block was read")


class Measured:
    """One kind of drivers, in one guest."""

    def __init__(self, guest, case):
        self.guest, self.host, self.case = guest, guest.host, case
        self.xpv = guest.drivers == "xpv"
        self.node = guest.wait_for_disk()
        self.tracing = guest.tracefs()
        if not self.xpv:
            guest.run(f"cd {self.tracing}; {PROBES}")
            self.khz = float(re.search(r"tsc: Detected ([\d.]+) MHz", guest.run("dmesg").out)[1]) * 1000

    def record(self):
        """xpv's, of the last suspend."""
        return self.guest.run("cat /sys/kernel/debug/xpv/suspend").out

    def _interrupts_off(self):
        if self.xpv:
            return recorded(self.record())
        return probed(self.guest.run(f"cd {self.tracing}; cat trace; echo >trace").out, self.khz)

    def _begin(self, load):
        sleep = IDLE_MS if load == "idle" else 0
        self.guest.run(f"cd /tmp; setsid {AS_LOAD} ./watchers {sleep} >watchers.out 2>&1 & echo $! >/tmp/watchers.pid")
        if load == "loaded":
            self.guest.run(f"cd /tmp; setsid {AS_LOAD} python3 fsyncs.py {self.node} >fsyncs.out 2>&1 & echo $! >/tmp/fsyncs.pid; "
                           f"setsid {AS_LOAD} sh -c 'while dd if={self.node} of=/dev/null bs=256k iflag=direct 2>/tmp/reader.out; do "
                           ":; done' & echo $! >/tmp/reader.pid")
            # Python takes seconds to start; a suspend before that would go unseen.
            wait_until(self.guest, "grep -q begun /tmp/fsyncs.out", 100)
        self.guest.run("sleep 1")

    def _end(self, load):
        """The longest standstill of a vCPU and of the writer in ms."""
        self.guest.run("sleep 2; cd /tmp; " + STOP.format("watchers") +
                       ("kill -KILL -$(cat reader.pid); " + STOP.format("fsyncs") if load == "loaded" else ""), timeout=120)
        said = self.guest.run("cat /tmp/watchers.out").out
        gaps = [int(gap) for gap in re.findall(r"longest_us (\d+)", said)]
        if len(gaps) != self.guest.vcpus or "fault" in said:
            sys.exit(f"{self.guest.name}: {said}")
        found = {"vCPU": max(gaps) / 1000}
        if load == "loaded":
            found["writer"] = int(re.search(r"longest_us (\d+)", self.guest.run("cat /tmp/fsyncs.out").out)[1]) / 1000
        return found

    def once(self, way, load):
        self._begin(load)
        WAYS[way](self.guest)
        found = self._end(load)
        if way != "no suspend":
            self.host.run(f"rm {IMAGE}")
            found["interrupts off"], standing = self._interrupts_off()
            found["outage"] = found["vCPU"] + standing
        return found

    def _await_connected(self, numbers):
        states = " ".join(f"/local/domain/{self.guest.domid}/device/vbd/{number}/state" for number in numbers)
        # Not often: to look is work for dom0, which has to make the backends.
        self.host.run(f"n=0; for node in {states}; do until [ \"$(xenstore-read $node)\" = 4 ]; do "
                      "sleep 1; n=$((n+1)); [ $n -lt 200 ] || exit 1; done; done", timeout=300)

    def requests(self):
        """In one more restore: the new domain's of the store until all disks
        are connected, and the longest chain of them; its hypercalls until a
        block was read."""
        numbers = [number for _, number in disks(self.case.disks)]
        if self.xpv:
            tracing = xenbus.trace_of_requests(self.guest)
            xenbus.switch(self.guest, tracing, 1)
            self.guest.run(f"echo 1 >{tracing}/events/power/suspend_resume/enable")
        self.guest.run(f"cd /tmp; setsid {AS_LOAD} ./reads {self.node} >reads.out 2>&1 & echo $! >/tmp/reads.pid")
        self.guest.save(IMAGE)
        xenbus.log_requests(self.host)
        xentrace.start(self.host)
        self.guest.restore(IMAGE)
        self._await_connected(numbers)
        self.guest.run("sleep 5; kill -KILL $(cat /tmp/reads.pid)")
        asked = of_guest(xenbus.logged_requests(self.host), numbers)
        made = hypercalls(xentrace.stop(self.host))
        self.host.run(f"rm {IMAGE}")
        if self.xpv:
            # What came before was asked for the domain that is no more.
            trace = self.guest.run(f"cat {tracing}/trace").out.rpartition("syscore_resume")[2]
            chain, _ = xenbus.chains(trace, numbers)
        else:
            chain = xenbus.for_devices(asked)
        return {"store requests": len(asked), "longest chain": chain, "hypercalls": made}


def disks(count):
    """Name and number of each; those of an HVM guest that are emulated too come first."""
    return [vdev(index) for index in (0, *range(5, 4 + count))]


def of_guest(requests, numbers):
    """The requests of the one connection that said of these disks that they are connected."""
    names = {name for name, operation, text in requests
             if operation == "WRITE" and re.match(r"device/vbd/\d+/state 4\s*$", text)}
    if len(names) != 1:
        sys.exit(f"not one guest in xenstored's log, but {names}")
    return xenbus.until_connected([(operation, text) for name, operation, text in requests if name in names], numbers)


def measure(host, drivers, case, options):
    """{(load, way): {what: [values]}}, with what a restored guest asks the
    store and Xen; and with xpv the picture of its last restore."""
    with host.guest(type="hvm", drivers=drivers, kernel=options.kernel, vcpus=case.vcpus, memory=320,
                    disks=[Disk(32 << 20, vdev=name) for name, _ in disks(case.disks)], modules=options.modules) as guest:
        if drivers == "xpv":
            guest.load_xpv()
        guest.write_program("watchers", built.watchers())
        guest.write_program("reads", built.program("reads"))
        guest.write_file("/tmp/fsyncs.py", FSYNCS)
        for number in range(case.disks):
            guest.wait_for_disk(number)
        measured = Measured(guest, case)
        found = {}
        for load, way in itertools.product(case.loads, WAYS):
            rounds = [measured.once(way, load) for _ in range(ROUNDS)]
            found[load, way] = {what: [one[what] for one in rounds] for what in rounds[0]}
        picture = timeline(measured.record()) if measured.xpv else ""
        found["idle", "restored"].update({what: [value] for what, value in measured.requests().items()})
        return found, picture


def timeline(record):
    return subprocess.run([ROOT / "tools/suspend-timeline", "/dev/stdin"], input=record, check=True, capture_output=True,
                          text=True).stdout


def rows(case, intree, xpv):
    for load, way in intree:
        for what in intree[load, way]:
            a, b = intree[load, way][what], xpv[load, way][what]
            theirs, ours = statistics.median(a), statistics.median(b)
            ratio = f"{ours / theirs:.2f}" if theirs else ""
            yield (f"| {case} | {load} | {way} | {what} | {theirs:.6g} ({max(a):.6g}) | {ours:.6g} ({max(b):.6g}) | {ratio} |")


def slope(found):
    """Of {vCPUs: ms}: a and b of a + b * vCPUs, by least squares."""
    return statistics.linear_regression(list(found), list(found.values()))[::-1]


def main(options):
    if options.nics:
        netoutage.main(options, timeline)
        return
    cases = [case for case in CASES if (not options.vcpus or case.vcpus in options.vcpus)
             and (not options.disks or case.disks in options.disks)]
    outages = {drivers: {way: {} for way in WAYS} for drivers in ("intree", "xpv")}
    timelines = {}
    with Host() as host:
        print(f"Milliseconds, or a number of requests or hypercalls; median (largest) of {ROUNDS}")
        print("| vCPUs | disks | | suspend | | in-tree | xpv | ratio |")
        print("|---|---|---|---|---|---|---|---|", flush=True)
        for case in cases:
            (intree, _), (xpv, timelines[case]) = (measure(host, drivers, case, options) for drivers in outages)
            print("\n".join(rows(case, intree, xpv)), flush=True)
            if case.disks == 1:
                for drivers, found in (("intree", intree), ("xpv", xpv)):
                    for way in ("cancelled", "restored"):
                        outages[drivers][way][case.vcpus] = (statistics.median(found["idle", way]["outage"]) -
                                                             statistics.median(found["idle", "no suspend"]["vCPU"]))
    for way in ("cancelled", "restored"):
        if len(outages["xpv"][way]) < 2:
            continue
        (a, b), (c, d) = (slope(outages[drivers][way]) for drivers in ("intree", "xpv"))
        print(f"Outage when {way}, less the gap without a suspend, in ms: in-tree {a:.1f} + {b:.1f} * vCPUs, xpv {c:.1f} + {d:.1f} * vCPUs, "
              f"ratio of the slopes {d / b:.2f}", flush=True)
    for case, picture in timelines.items():
        print(f"\n{case.vcpus} vCPUs, {case.disks} disks, {case.loads[-1]}, restored:\n{picture}", flush=True)
