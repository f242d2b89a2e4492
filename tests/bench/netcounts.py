# SPDX-License-Identifier: GPL-2.0-only
"""What a packet makes a guest execute, by kind.

The machine has two processors. dom0 has one of them, and the guest, which has
one vCPU, the other: what a QEMU plugin (counter.c) sees there outside Xen is the
guest's. A module (packets/bench_packets.c) brackets bursts of packets, which it
gives the driver as the network stack does, from the driver's call until the last
packet was freed; "submit" brackets the driver's calls alone, with interrupts off,
so that the hypercalls in it are notifications. In bursts that dom0 sends
(tests/lab/inside/netload.c), the module consumes the packets where the network
stack would get them. Ticks of the clock are taken off: as many as there were,
at what the module has counted for one.

Interrupts are the frontend's, by /proc/interrupts, in all rounds; events are
netback's in dom0.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lab"))

from counting import KINDS, build, measured  # noqa: E402
from netguest import NOBODY_HERE, Interface, Passed, bring_load, check_equal  # noqa: E402
from xpvlab import Host, qemu  # noqa: E402

MODULE = "bench_packets"
# Of UDP in a packet of 1500 bytes.
PAYLOAD = 1472
# Between the bursts of one packet and of 32 packets; no multiple of a tick. For
# five eighths of it the module looks away, so a burst has to be over in less than the rest.
INTERVALS_US = {1: 5300, 32: 41300}


@dataclass(frozen=True)
class Case:
    text: str
    what: str
    burst: int


CASES = [Case("1500 bytes of UDP out", "datagram", 1), Case("1500 bytes of UDP out", "datagram", 32),
         Case("1500 bytes of TCP out", "segment", 1), Case("1500 bytes of TCP out", "segment", 32),
         Case("64 KiB of TCP out (TSO)", "frame", 1),
         Case("1500 bytes of UDP in", "receive", 1), Case("1500 bytes of UDP in", "receive", 32)]


def per_packet(kinds, burst):
    """What a burst executed, for each of its packets. The emulator counts each
    step of a repeated string instruction; here they are apart."""
    found = {kind: kinds[kind] / burst for kind in (*KINDS, "steps")}
    found["instructions"] -= found["steps"]
    return found


def measure(interface, log, case):
    host, guest = interface.host, interface.guest
    parameters = f"interface={interface.name} what={case.what} burst={case.burst}"
    inwards = case.what == "receive"
    if inwards:
        interval = INTERVALS_US[case.burst]
        parameters += f" pause_us={interval * 5 // 8}"
        interface.be_nobody()
        sender = host.start(f"exec /run/lab/netload bursts {NOBODY_HERE} {PAYLOAD} {case.burst} {interval}")
    else:
        parameters += f" to={interface.bridge}"
    try:
        with Passed(interface, "in" if inwards else "out") as passed:
            kinds = measured(log, guest, MODULE, parameters)
    finally:
        if inwards:
            sender.kill()
    interface.check()
    found = per_packet(kinds["receive" if inwards else "transmit"], case.burst)
    found["notifications"] = None if inwards else kinds["submit"]["hypercalls"]
    found["interrupts"], found["events"] = passed.interrupts, passed.events
    return found


COLUMNS = {**KINDS, "steps": "string steps", "notifications": "notifications of a burst",
           "interrupts": "interrupts of 1000 packets", "events": "netback's events of 1000 packets"}


def rows(case, intree, again, xpv):
    """The three in a row each, and the ratios of the second and the third to the first."""
    head = f"| {case.text} | {case.burst} |"
    for who, found in (("in-tree", intree), ("in-tree again", again), ("xpv", xpv)):
        yield f"{head} {who} | " + " | ".join("" if found[kind] is None else f"{found[kind]:.6g}" for kind in COLUMNS) + " |"
    for who, found in (("again / in-tree", again), ("xpv / in-tree", xpv)):
        yield f"{head} {who} | " + " | ".join(f"{found[kind] / intree[kind]:.2f}" if intree[kind] else "" for kind in COLUMNS) + " |"


def main(options):
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "counted"
        plugin = qemu.plugin(ROOT / "tests/bench/counter.c")
        with Host(cpus=2, plugin=f"file={plugin},out={log}", boot_timeout=1800) as host:
            host.run("xl vcpu-pin 0 all 0")
            bring_load(host)
            modules = build(scratch, host.guest_image.kernels[options.kernel], options.modules, "packets")
            found, features = {}, {}
            for drivers in ("intree", "xpv"):
                with host.guest(type="hvm", drivers=drivers, kernel=options.kernel, vcpus=1, vifs=1, modules=options.modules,
                                files=list(modules.values()), config='cpus = "1"', boot_timeout=3600) as guest:
                    if drivers == "xpv":
                        guest.load_xpv(timeout=1800)
                    interface = Interface(guest, host)
                    features[drivers] = interface.features()
                    for case in CASES:
                        for who in ("intree", "again") if drivers == "intree" else ("xpv",):
                            found[who, case] = measure(interface, log, case)
                            print(f"{case.text}, burst {case.burst}, {who}: {found[who, case]}", file=sys.stderr, flush=True)
            check_equal(features["intree"], features["xpv"])
    print("For each packet, unless it says otherwise; medians of 512 bursts")
    print(f"| packets | burst | | {' | '.join(COLUMNS.values())} |")
    print(f"|---|---|---|{'---|' * len(COLUMNS)}")
    for case in CASES:
        print("\n".join(rows(case, *(found[who, case] for who in ("intree", "again", "xpv")))), flush=True)
