# SPDX-License-Identifier: GPL-2.0-only
"""How long a guest is away from the network while it is migrated live between
two machines, with the kernel's own netfront and with xpv.

The bridges of both machines are joined by a wire. dom0 of the first one stays
where it is, and so does its clock: it pings each of the guest's interfaces
every 5 ms, and has a TCP connection over the first interface, on which both
ends send a little every 5 ms (tests/lab/inside/outage.c). Each interface has a
network of its own. Two guests are there, and in each round they are migrated
there and back one after the other, in the next round in the other order.

A guest that leaves the first machine is seen to suspend there: up to then the
outage is its own doing. One that comes is seen to run there: from then on it is
its own and netback's. Both together are the row "own part". What is between
them is the toolstack's.
"""

import re
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lab"))

from xenbus import LIBRARIES  # noqa: E402
from xpvlab import built  # noqa: E402
from xpvlab.pair import Pair  # noqa: E402
from xpvlab.waiting import wait_until  # noqa: E402

PORT = 5400
VCPUS = 2
OWN = "/run/lab/outage"
LEAVING, COMING = "ping, last answer to suspended", "ping, running to first answer"


def network(number, host):
    """The address of `host` in the network of that interface."""
    return f"10.{100 + number}.0.{host}"


class Moving:
    """A guest that is migrated there and back."""

    def __init__(self, guest, nics, one, other):
        self.guest, self.one, self.other = guest, one, other
        self.xpv = guest.drivers == "xpv"
        if self.xpv:
            guest.load_xpv()
        ident = int(guest.name[1:]) + 1
        self.addresses = [network(number, ident) for number in range(nics)]
        # An address is to be found at its interface only.
        guest.run("echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore; echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce")
        for number, address in enumerate(self.addresses):
            wait_until(guest, f"grep -q {guest.mac(number)} /sys/class/net/*/address")
            guest.run(f"i=$(grep -l {guest.mac(number)} /sys/class/net/*/address | cut -d/ -f5); "
                      f"ip addr add {address}/24 dev $i && ip link set $i up")
        guest.write_program("trickle", built.program("trickle"))
        guest.run(f"setsid /tmp/trickle {PORT} >/tmp/trickle.out 2>&1 &")
        for address in self.addresses:
            wait_until(one, f"ping -c 1 -W 5 {address} >/dev/null")

    def move(self):
        """To the other machine than where it is; {what: ms}."""
        leaves = self.guest.host is self.one
        left = self.guest.domid
        self.one.run(f"setsid chrt -f 1 {OWN} {PORT} {' '.join(self.addresses)} >{OWN}.out 2>&1 & echo $! >{OWN}.pid; sleep 2")
        self.guest.migrate_to(self.other if leaves else self.one)
        said = self.one.run(f"kill -TERM $(cat {OWN}.pid); while kill -0 $(cat {OWN}.pid) 2>/dev/null; do sleep 0.5; done; cat {OWN}.out",
                            timeout=200).out
        silences = {what: tuple(int(number) for number in numbers) for what, *numbers
                    in re.findall(r"^silence (\S+) (\d+) (\d+) (\d+)$", said, re.M)}
        mark = re.search(rf"^suspended {left} (\d+)$" if leaves else rf"^runs {self.guest.domid} (\d+)$", said, re.M)
        if len(silences) != len(self.addresses) + 2 or not mark:
            sys.exit(f"{self.guest.name}: {said}")
        # That of the interface that came back last.
        length, begin, end = max(silences[address] for address in self.addresses)
        mark = int(mark[1])
        if not begin <= mark <= end:
            sys.exit(f"{self.guest.name}: the longest silence is not the migration's: {said}")
        found = {"ping": length, "TCP in": silences["tcp-in"][0], "TCP out": silences["tcp-out"][0]}
        if len(self.addresses) > 1:
            found["ping, first interface back"] = min(silences[address][2] for address in self.addresses) - begin
        if leaves:
            found[LEAVING] = mark - begin
        else:
            found[COMING] = end - mark
        return {what: us / 1000 for what, us in found.items()}

    def timeline(self):
        """Of xpv, what the guest itself says of its last suspend."""
        return self.guest.run("cat /sys/kernel/debug/xpv/suspend").out


def rows(nics, direction, intree, xpv):
    """`intree`, `xpv`: what was found in each round."""
    for what in intree[0]:
        a, b = ([one[what] for one in found] for found in (intree, xpv))
        ratios = [ours / theirs for ours, theirs in zip(b, a)]
        yield (f"| {nics} | {direction} | {what} | {statistics.median(a):.0f} ({min(a):.0f} to {max(a):.0f}) | "
               f"{statistics.median(b):.0f} ({min(b):.0f} to {max(b):.0f}) | {statistics.median(ratios):.2f} "
               f"({min(ratios):.2f} to {max(ratios):.2f}) |")


def own_part(there, back):
    return [{"own part": a[LEAVING] + b[COMING]} for a, b in zip(there, back)]


def main(options, timeline):
    print(f"Longest silence in ms, as the first machine sees it; median (smallest to largest) of {options.rounds} rounds")
    print("| NICs | migration | silence | in-tree | xpv | ratio in one round |")
    print("|---|---|---|---|---|---|", flush=True)
    pictures = []
    for nics in options.nics:
        with Pair(bridged=True) as (one, other):
            one.write_program("outage", built.program("outage", *(f"-l{library}" for library in LIBRARIES)))
            for number in range(nics):
                one.run(f"ip addr add {network(number, 1)}/24 dev xenbr0")
            common = dict(type="hvm", kernel=options.kernel, vcpus=VCPUS, memory=256, vifs=nics, modules=options.modules)
            with one.guest(drivers="intree", **common) as intree, one.guest(drivers="xpv", **common) as xpv:
                moving = {guest.drivers: Moving(guest, nics, one, other) for guest in (intree, xpv)}
                found = {(who, direction): [] for who in moving for direction in ("there", "back")}
                for number in range(options.rounds):
                    for direction in ("there", "back"):
                        for who in moving if number % 2 == 0 else reversed(moving):
                            found[who, direction].append(moving[who].move())
                            print(nics, who, direction, found[who, direction][-1], file=sys.stderr, flush=True)
                for direction in ("there", "back"):
                    print("\n".join(rows(nics, direction, found["intree", direction], found["xpv", direction])), flush=True)
                print("\n".join(rows(nics, "both", *(own_part(found[who, "there"], found[who, "back"]) for who in ("intree", "xpv")))),
                      flush=True)
                pictures.append(timeline(moving["xpv"].timeline()))
    for nics, picture in zip(options.nics, pictures):
        print(f"\n{nics} NICs, xpv's last restore:\n{picture}", flush=True)
