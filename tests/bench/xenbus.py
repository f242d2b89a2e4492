# SPDX-License-Identifier: GPL-2.0-only
"""What the store is asked from a device's appearance until it is connected,
against the kernel's own on the same Xen.

1, 4 and 16 disks appear at the same moment, by one transaction in dom0
(tests/lab/inside/storetool.py), and are over when all frontends have written
that they are connected. The requests are those of the guest's domain in
xenstored's own log. How many of them had to wait for one another is known of
xpv by its tracepoints and a probe where tasks wait for an answer: a request is
one step further than the furthest one that had been answered when it was made;
requests that a task makes at once are as far as the first of them. The kernel's
own has one thread for its devices, which waits for each answer: there each
request is a step.

What the guest notifies is among its event channel hypercalls, which Xen's own
trace has.

The machine's clock counts executed instructions, so the time is that of all
who take part: guest, backend, xenstored, Xen. It is measured without the log.
How much of it the guest had is Xen's account of its processor time.
"""

import re
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lab"))

import xentrace  # noqa: E402
from xpvlab import Host, built  # noqa: E402
from xpvlab.storetool import StoreTool, vdev  # noqa: E402

DISKS = (1, 4, 16)
ROUNDS = 3
PATIENCE = 600
LIBRARIES = ("xenctrl", "xenforeignmemory", "xendevicemodel", "xencall", "xenevtchn", "xengnttab", "xentoollog", "xentoolcore")
LOG = "/run/lab/xenstored.log"
# Backend or frontend of a disk.
OF_DISK = re.compile(r"(?:device/vbd|backend/vbd/\d+)/(\d+)")
# What is asked for other reasons than devices.
NOT_FOR_DEVICES = re.compile(r"(?:control|memory)/")
IN = re.compile(r"IN (\S+) \d{8} \d\d:\d\d:\d\d (\S+) \((.*)\)$")
# Of the one function that waits for answers.
PROBE = "p:xpv_bench/waits xpv_wait_for_completion"
EVENT = re.compile(r"-(?P<task>\d+)\s+\[\d+\] .*\s(?P<time>[\d.]+): (?:xpv_store_)?(?P<kind>request|reply|waits): "
                   r"(?:.*\boperation=(?P<operation>\S+) path=(?P<path>\S*) .*\bid=(?P<id>\d+)|\(.*\))\s*$")


def requests(log):
    """(connection, operation, what follows) of each request that xenstored has read."""
    return [match.groups() for match in map(IN.search, log.splitlines()) if match]


def log_requests(host):
    """From now on; xenstored appends to what there is."""
    host.run(f"rm -f {LOG}; xenstore-control logfile {LOG}", timeout=PATIENCE)


def logged_requests(host):
    return requests(host.run(f"xenstore-control log off; grep -a '^IN ' {LOG} || true", timeout=PATIENCE).out)


def disk_of(text):
    match = OF_DISK.search(text)
    return match and int(match[1])


def until_connected(asked, numbers):
    """The requests up to the last one that says of a disk that it is connected."""
    last = {disk_of(text): place for place, (operation, text) in enumerate(asked)
            if operation == "WRITE" and re.search(r"device/vbd/\d+/state 4\s*$", text)}
    if set(numbers) - set(last):
        sys.exit(f"xenstored's log has no end of {sorted(set(numbers) - set(last))}")
    return asked[:max(last[number] for number in numbers) + 1]


def for_devices(asked):
    """How many of these requests were made for devices."""
    return sum(not NOT_FOR_DEVICES.match(text) for _, text in asked)


def trace_of_requests(guest):
    """xpv's, in a directory of its own; not switched on."""
    root = guest.tracefs(PATIENCE)
    guest.run(f"mkdir {root}/instances/bench; echo '{PROBE}' >>{root}/kprobe_events", timeout=PATIENCE)
    return f"{root}/instances/bench"


def switch(guest, trace, on):
    """1 or 0: that trace's events."""
    guest.run(f"for group in xpv_xenbus xpv_bench; do echo {on} >{trace}/events/$group/enable; done", timeout=PATIENCE)


def steps(events):
    """The length of the longest chain of requests in events in the order of time."""
    depth, furthest, at_once = {}, 0, {}
    for event in events:
        task, operation = event["task"], event["operation"]
        if event["kind"] == "request":
            # Those of another kind may have become necessary by what another task was told.
            if at_once.get(task, ("", 0))[0] != operation:
                at_once[task] = operation, furthest + 1
            depth[event["id"]] = at_once[task][1]
        elif event["kind"] == "waits":
            at_once.pop(task, None)
        else:
            furthest = max(furthest, depth.pop(event["id"], 0))
    return max([furthest, *depth.values()])


def chains(trace, numbers):
    """The longest chain of all for devices, and of one disk's requests, until the last disk is connected."""
    found = [match.groupdict(default="") for match in map(EVENT.search, trace.splitlines()) if match]
    found = [event for event in found if not NOT_FOR_DEVICES.match(event["path"])]
    if all(event["kind"] != "waits" for event in found):
        sys.exit("the trace has nobody who waits: its probe does not work")
    found.sort(key=lambda event: float(event["time"]))
    ends = {}       # the last write of each disk's state; nothing comes after Connected
    for place, event in enumerate(found):
        if event["kind"] == "reply" and re.search(r"device/vbd/\d+/state$", event["path"]):
            ends[disk_of(event["path"])] = place
    if set(numbers) - set(ends):
        sys.exit(f"the trace has no end of {sorted(set(numbers) - set(ends))}")
    found = found[:max(ends[number] for number in numbers) + 1]
    of_one = [steps([event for event in found if event["kind"] == "waits" or disk_of(event["path"]) == number]) for number in numbers]
    return steps(found), max(of_one)


class Measured:
    """One kind of drivers, in one guest."""

    def __init__(self, guest, tool, device):
        self.guest, self.host, self.tool, self.device = guest, guest.host, tool, device
        self.traced = guest.drivers == "xpv"
        if self.traced:
            self.tracing = trace_of_requests(guest)
        self.connection = self._connection()

    def _connection(self):
        """How xenstored's log names the guest's connection."""
        log_requests(self.host)
        self.guest.run("xenstore-write data/bench mark", timeout=PATIENCE)
        names = {name for name, operation, text in logged_requests(self.host)
                 if operation == "WRITE" and text.strip() == "data/bench mark"}
        if len(names) != 1:
            sys.exit(f"{self.guest.name} is not to be found in xenstored's log: {names}")
        return names.pop()

    def _store_events(self):
        name = "xenstore" if self.traced else "xenbus"
        line = self.guest.run(f"grep -w '{name}$' /proc/interrupts", timeout=PATIENCE).out.splitlines()[0]
        return sum(int(word) for word in line.split(":", 1)[1].split()[:self.guest.vcpus])

    def _cpu_ms(self):
        """The guest's so far."""
        found = dict(line.split() for line in self.host.run("/run/lab/cputime", timeout=PATIENCE).out.splitlines())
        return int(found[str(self.guest.domid)]) / 1e6

    def _trace(self, on):
        if self.traced:
            switch(self.guest, self.tracing, on)

    def _appear(self, numbers):
        return self.tool.add(self.guest, numbers, "--device", self.device, wait=PATIENCE)

    def _go(self, numbers):
        if self.tool.remove(self.guest, numbers, wait=PATIENCE):
            sys.exit(f"{self.guest.name}: disks do not go")
        self.guest.run("sleep 1; while ls /sys/block | grep -q xvd; do sleep 0.5; done", timeout=PATIENCE)

    def disks(self, count):
        numbers = [vdev(index)[1] for index in range(count)]
        times, own = [], []
        for _ in range(ROUNDS):
            before = self._cpu_ms()
            times.append(self._appear(numbers) * 1000)
            own.append(self._cpu_ms() - before)
            self._go(numbers)

        self._trace(1)
        log_requests(self.host)
        events = self._store_events()
        xentrace.start(self.host, PATIENCE)
        self._appear(numbers)
        trace = xentrace.stop(self.host, PATIENCE)
        calls = xentrace.records(trace).count((xentrace.VMMCALL, xentrace.EVENT_CHANNEL_OP))
        self.guest.run("sleep 2", timeout=PATIENCE)
        events = self._store_events() - events
        asked = [(operation, text) for name, operation, text in logged_requests(self.host) if name == self.connection]
        self._trace(0)
        asked = until_connected(asked, numbers)
        if self.traced:
            trace = self.guest.run(f"cat {self.tracing}/trace; echo >{self.tracing}/trace", timeout=PATIENCE).out
            chain, chain_of_one = chains(trace, numbers)
        else:
            chain = for_devices(asked)
            chain_of_one = max(sum(disk_of(text) == number for _, text in asked) for number in numbers)
        self._go(numbers)
        return {"requests": len(asked), "requests for each disk": len(asked) / count, "longest chain": chain,
                "longest chain of one disk": chain_of_one, "events from the store": events,
                "event channel hypercalls": calls,
                "ms of the guest's CPU": round(statistics.median(own), 1), "ms": statistics.median(times), "all ms": times}


def measure(host, tool, drivers, device, options):
    with host.guest(type="hvm", drivers=drivers, kernel=options.kernel, vcpus=1, modules=options.modules,
                    config='tsc_mode = "native"', boot_timeout=3600) as guest:
        if drivers == "xpv":
            guest.load_xpv(timeout=1800)
        else:
            guest.run("modprobe xen-blkfront", timeout=PATIENCE)
        # udev would read the first disks while the others are being connected.
        guest.run("udevadm settle; udevadm control --stop-exec-queue", timeout=PATIENCE)
        host.run("udevadm settle; udevadm control --stop-exec-queue", timeout=PATIENCE)
        measured = Measured(guest, tool, device)
        found = {count: measured.disks(count) for count in DISKS}
        host.run("udevadm control --start-exec-queue", timeout=PATIENCE)
        return found


def report(intree, xpv):
    print("| disks | | in-tree | xpv | ratio | wanted |")
    print("|---|---|---|---|---|---|")
    wanted = {"longest chain": "0.33", "longest chain of one disk": "4, and the backend's own steps"}
    for count in DISKS:
        for name in intree[count]:
            a, b = intree[count][name], xpv[count][name]
            if name == "all ms":
                continue
            if name == "ms":
                row = f"ms, median of {ROUNDS} (smallest)"
                a, b = (f"{found[count]['ms']:.1f} ({min(found[count]['all ms']):.1f})" for found in (intree, xpv))
            else:
                row, a, b = name, f"{a:g}", f"{b:g}"
            ratio = xpv[count][name] / intree[count][name] if intree[count][name] else 0
            print(f"| {count} | {row} | {a} | {b} | {ratio:.2f} | {wanted.get(name, '')} |")
    most, one = max(DISKS), min(DISKS)
    a, b = (found[most]["ms"] / found[one]["ms"] for found in (intree, xpv))
    print(f"| {most} against {one} | ms | {a:.2f} | {b:.2f} | | less than 2 |", flush=True)


def main(options):
    with Host(counting=True) as host:
        tool = StoreTool(host)
        host.write_program("cputime", built.program("cputime", *(f"-l{library}" for library in LIBRARIES)), PATIENCE)
        host.run("truncate -s 16M /var/bench.img", timeout=PATIENCE)
        device = host.run("losetup -f --show /var/bench.img", timeout=PATIENCE).out.strip()
        found = {drivers: measure(host, tool, drivers, device, options) for drivers in ("intree", "xpv")}
        report(found["intree"], found["xpv"])
