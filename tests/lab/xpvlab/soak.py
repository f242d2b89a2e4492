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
    --rw=randrw --bsrange=4k-128k --size=24m --randrepeat=0 --verify=crc32c --verify_fatal=1 \
    --do_verify=1 --output-format=terse"""
NETWORK = """iperf3 -c 10.77.0.1 -p {port} -t 20 >/dev/null && iperf3 -c 10.77.0.1 -p {port} -t 20 -R >/dev/null"""


@dataclass
class Result:
    seconds: float = 0.0                            # of all guests together, booted
    rounds: int = 0                                 # of disk load, each verified
    failures: list = field(default_factory=list)    # ours to explain
    faults: list = field(default_factory=list)      # the emulator's own


def _load(guest, seconds, result):
    node = guest.wait_for_disk()
    network = None
    started = time.monotonic()
    end = started + seconds
    while time.monotonic() < end:
        if guest.vifs and (network is None or not network.running()):
            if network is not None and network.wait(60).status:
                raise LabError("iperf3 failed")
            network = guest.start(NETWORK.format(port=_port(guest)))
        fio = guest.run(DISK.format(node=node), timeout=1800, check=False)
        if fio.status or "verify" in fio.err:
            raise LabError(f"fio: {fio.err}")
        result.rounds += 1
        say(f"{guest.name}, {guest.drivers}: round {result.rounds} of its kind, "
            f"{time.monotonic() - started:.0f} of {seconds:.0f} s")
    if network:
        network.kill()


def _port(guest):
    return 5000 + int(guest.name[1:])


def _one(host, options, seconds, result):
    """Guests, one after the other, until they were loaded for `seconds`."""
    while seconds > 0:
        started = None
        try:
            with host.guest(**options) as guest:
                if guest.drivers == "xpv":
                    guest.load_xpv()
                else:
                    guest.net_up()
                    host.run(f"iperf3 -s -D -p {_port(guest)}")
                started = time.monotonic()
                _load(guest, seconds, result)
        except EmulatorFault as error:
            result.faults.append(str(error))
            say(f"emulator fault: {error}")
        except LabError as error:
            result.failures.append(str(error))
            say(f"failure: {error}")
        if started is None:
            return      # it did not even boot; the failure is counted
        spent = time.monotonic() - started
        result.seconds += spent
        seconds -= spent


def run(drivers, modules, minutes, guests=2, kernel="6.12"):
    """Load `guests` guests of each kind in `drivers` until each kind has had
    `minutes` of guest time; returns {kind: Result}."""
    results = {kind: Result() for kind in drivers}
    count = guests * len(drivers)
    dom0_memory = 1024 + 192 * count    # a device model each
    with Host(memory=dom0_memory + 640 * count + 512, dom0_memory=dom0_memory) as host:
        threads = []
        for kind in drivers:
            options = dict(type="hvm", drivers=kind, modules=modules if kind == "xpv" else None,
                           kernel=kernel, disks=[128], vifs=1 if kind == "intree" else 0)
            for _ in range(guests):
                thread = threading.Thread(
                    target=_one, args=(host, options, minutes * 60 / guests, results[kind]))
                thread.start()
                threads.append(thread)
        for thread in threads:
            thread.join()
    return results
