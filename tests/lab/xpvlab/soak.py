# SPDX-License-Identifier: GPL-2.0-only
"""Guests under heavy load for a long time: what the lab itself is worth, and
xpv in it.

Each guest writes random blocks to its disk with fio, which reads them back
and compares checksums; guests with the kernel's own drivers also send and
receive over their network interface. A guest that ends other than planned is
counted, with its cause, and started anew.
"""

import threading
import time
from dataclasses import dataclass, field

from .errors import EmulatorFault, LabError
from .host import Host
from .progress import say

DISK = """fio --name=soak --filename={node} --direct=1 --ioengine=libaio --iodepth=16 \
    --rw=randrw --bsrange=4k-128k --size=96m --randrepeat=0 --verify=crc32c --verify_fatal=1 \
    --do_verify=1 --output-format=terse"""
NETWORK = """iperf3 -c 10.77.0.1 -p {port} -t 20 >/dev/null && iperf3 -c 10.77.0.1 -p {port} -t 20 -R >/dev/null"""


@dataclass
class Result:
    seconds: float = 0.0                            # of all guests together, booted
    rounds: int = 0                                 # of disk load, each verified
    failures: list = field(default_factory=list)    # ours to explain
    faults: list = field(default_factory=list)      # the emulator's own


def _load(guest, end, result):
    node = guest.wait_for_disk()
    network = None
    while time.monotonic() < end:
        if guest.vifs and (network is None or not network.running()):
            if network is not None:
                network.wait(60)
            port = 5000 + int(guest.name[1:])
            network = guest.start(NETWORK.format(port=port))
        fio = guest.run(DISK.format(node=node), timeout=1800)
        if "verify" in fio.err or fio.status:
            raise LabError(f"fio: {fio.err}")
        result.rounds += 1
    if network:
        network.kill()


def _one(host, options, end, result):
    """One guest after the other, until the time is over."""
    while time.monotonic() < end:
        started = None
        try:
            with host.guest(**options) as guest:
                if guest.drivers == "xpv":
                    guest.load_xpv()
                else:
                    guest.net_up()
                    host.run(f"iperf3 -s -D -p {5000 + int(guest.name[1:])}")
                started = time.monotonic()
                _load(guest, end, result)
        except EmulatorFault as error:
            result.faults.append(str(error))
        except LabError as error:
            result.failures.append(str(error))
        finally:
            if started:
                result.seconds += time.monotonic() - started


def run(drivers, modules, minutes, guests=2, kernel="6.12", memory=6144):
    """Load `guests` guests of each kind in `drivers` until each kind has had
    `minutes` of guest time; returns {kind: Result}."""
    results = {kind: Result() for kind in drivers}
    end = time.monotonic() + minutes * 60 / guests
    with Host(memory=memory) as host:
        threads = []
        for kind in drivers:
            options = dict(type="hvm", drivers=kind, modules=modules if kind == "xpv" else None,
                           kernel=kernel, disks=[128], vifs=1 if kind == "intree" else 0)
            for _ in range(guests):
                thread = threading.Thread(target=_one, args=(host, options, end, results[kind]))
                thread.start()
                threads.append(thread)
        while any(t.is_alive() for t in threads):
            for thread in threads:
                thread.join(timeout=15)
            say("; ".join(f"{kind}: {r.rounds} rounds, {len(r.failures)} failures, "
                          f"{len(r.faults)} emulator faults" for kind, r in results.items()))
    return results
