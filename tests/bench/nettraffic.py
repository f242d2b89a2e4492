# SPDX-License-Identifier: GPL-2.0-only
"""Throughput of a guest's interface, to and from dom0.

Three guests run at the same time, two with the kernel's own driver and one with
xpv. In each round each measure is taken of one guest after the other, in a round
in this order and in the next in the other, so that what disturbs the machine for
a while disturbs all. A ratio is that of two guests in one round. First all have one queue,
and equal features; then each driver has what it takes by default: a second
interface with a queue for each vCPU replaces the first.

TCP is measured by iperf3. Small packets are sent as fast as one process or four
can (tests/lab/inside/netload.c), to an address that nobody has, and counted where
they are received. A request and its answer are one byte each.
"""

import json
import statistics
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lab"))

from netguest import NOBODY_HERE, NOBODY_IN_DOM0, PATIENCE, Interface, Passed, bring_load, check_equal  # noqa: E402
from xpvlab import Host  # noqa: E402
from xpvlab.guest import AS_LOAD  # noqa: E402
from xpvlab.nettest import DOM0  # noqa: E402
from xpvlab.waiting import wait_until  # noqa: E402

DOM0_IPV6 = "fd77::1"
ECHO_PORT = 5300
VCPUS = 2
# Of UDP, in a packet of 64 bytes with Ethernet's checksum.
SMALL = 18
WHO = ("intree", "xpv", "again")


@dataclass(frozen=True)
class Case:
    kind: str
    direction: str = ""
    streams: int = 1
    family: int = 4

    def __str__(self):
        if self.kind == "ask":
            return "requests and answers a second"
        what = f"TCP, IPv{self.family}, Mbit/s" if self.kind == "tcp" else "UDP, 64 bytes, packets/s"
        return f"{what}, {self.direction}, {self.streams} stream{'s' * (self.streams > 1)}"


CASES = [*(Case("tcp", direction, streams, family) for family in (4, 6) for streams in (1, 4) for direction in ("out", "in")),
         *(Case("udp", direction, streams) for streams in (1, 4) for direction in ("out", "in")), Case("ask")]


class Traffic(Interface):
    """One guest's."""

    def __init__(self, guest, host, seconds, number=0):
        super().__init__(guest, host, number)
        bring_load(guest)
        self._seconds = seconds
        guest.run(f"ip addr add fd77::{guest.name[1:]}:{number + 1}/64 dev {self.name} nodad")
        wait_until(guest, f"ping -c 1 -W 5 {DOM0_IPV6} >/dev/null")

    def _tcp(self, case):
        peer = DOM0 if case.family == 4 else DOM0_IPV6
        command = f"{AS_LOAD} iperf3 -J -c {peer} -t {self._seconds} -P {case.streams} {'-R' if case.direction == 'in' else ''}"
        # The server may not be done with the last test.
        said = self.guest.run(f"{command} >/tmp/iperf3 || {{ sleep 2; {command} >/tmp/iperf3; }}; cat /tmp/iperf3", timeout=PATIENCE).out
        return json.loads(said)["end"]["sum_received"]["bits_per_second"] / 1e6

    def _udp(self, case):
        """None: what passed says it."""
        flood = f"netload flood {NOBODY_IN_DOM0 if case.direction == 'out' else NOBODY_HERE} {SMALL} {case.streams} {self._seconds}"
        if case.direction == "out":
            self.guest.run(f"{AS_LOAD} /tmp/{flood}", timeout=PATIENCE)
        else:
            self.be_nobody()
            self.host.run(f"/run/lab/{flood}", timeout=PATIENCE)

    def _ask(self, case):
        return float(self.guest.run(f"{AS_LOAD} /tmp/netload ask {DOM0} {ECHO_PORT} {self._seconds}", timeout=PATIENCE).out)

    def measure(self, case):
        """{row: value}."""
        with Passed(self, case.direction) as passed:
            value = getattr(self, f"_{case.kind}")(case)
        return {str(case): passed.packets / self._seconds if value is None else value,
                f"{case}: interrupts of 1000 packets": passed.interrupts,
                f"{case}: netback's events of 1000 packets": passed.events}


def ratios(values, others):
    """'median (smallest to largest)' of the rounds' ratios of one guest to another."""
    found = [a / b for a, b in zip(values, others) if b]
    if not found:
        return ""
    return f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


def compare(traffic, cases, rounds):
    print("| | in-tree | xpv | xpv / in-tree | in-tree / in-tree |")
    print("|---|---|---|---|---|", flush=True)
    for case in cases:
        found = {who: [] for who in WHO}
        for number in range(rounds):
            for who in WHO if number % 2 == 0 else reversed(WHO):
                found[who].append(traffic[who].measure(case))
        for row in found["intree"][0]:
            intree, xpv, again = ([one[row] for one in found[who]] for who in WHO)
            print(f"| {row} | {statistics.median(intree):.6g} | {statistics.median(xpv):.6g} | "
                  f"{ratios(xpv, intree)} | {ratios(again, intree)} |", flush=True)


def more_queues(guest, host):
    """Another interface, with a queue for each vCPU, instead of the first."""
    module = "xpv_netfront" if guest.drivers == "xpv" else "xen_netfront"
    guest.run(f"echo {VCPUS} >/sys/module/{module}/parameters/max_queues")
    host.run(f"xl network-attach {guest.name} bridge=xenbr0 mac={guest.mac(1)} type=vif", timeout=PATIENCE)
    wait_until(guest, f"grep -q {guest.mac(1)} /sys/class/net/*/address")
    host.run(f"xl network-detach {guest.name} 0", timeout=PATIENCE)
    wait_until(guest, f"! grep -q {guest.mac(0)} /sys/class/net/*/address")
    guest.run("udevadm settle")


def boot(host, drivers, options):
    common = dict(type="hvm", drivers=drivers, kernel=options.kernel, vcpus=VCPUS, memory=320, vifs=1)
    if drivers == "intree":
        return host.guest(cmdline="xen_netfront.max_queues=1", **common)
    return host.guest(modules=options.modules, **common)


def main(options):
    with Host() as host, ExitStack() as stack:
        guests = {who: stack.enter_context(boot(host, "xpv" if who == "xpv" else "intree", options)) for who in WHO}
        guests["xpv"].load_xpv(netfront="max_queues=1")
        bring_load(host)
        host.run(f"ip addr add {DOM0_IPV6}/64 dev xenbr0 nodad; iperf3 -s -D")
        traffic = {who: Traffic(guest, host, options.seconds) for who, guest in guests.items()}
        echo = host.start(f"exec /run/lab/netload echo {ECHO_PORT}")
        print(f"{options.rounds} rounds of {options.seconds} s. Medians; ratios of a round: median (smallest to largest)")
        print("\nOne queue:\n")
        check_equal(traffic["intree"].features(), traffic["xpv"].features())
        compare(traffic, [case for case in CASES if case.kind != "udp" or case.streams == 1], options.rounds)
        for guest in guests.values():
            more_queues(guest, host)
        traffic = {who: Traffic(guest, host, options.seconds, number=1) for who, guest in guests.items()}
        print(f"\nEach at its best, {VCPUS} queues:\n")
        check_equal(traffic["intree"].features(), traffic["xpv"].features())
        compare(traffic, [case for case in CASES if case.streams > 1], options.rounds)
        echo.kill()
