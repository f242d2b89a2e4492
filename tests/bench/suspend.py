# SPDX-License-Identifier: GPL-2.0-only
"""How long a suspend stops the guest, against the kernel's own.

A thread on each vCPU reads the monotonic clock all the time
(tests/lab/inside/watchers.c). That clock stands still while the domain is
saved and until it is restored, with both implementations, so the longest gap
that a thread sees is what the guest itself spends: with the kernel's own,
from freezing its tasks to thawing them. The lab's processors are emulated, so
the figures compare; they are no times.
"""

import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lab"))

from xpvlab import Host, initrd  # noqa: E402

IMAGE = "/var/lib/xpv-saved"
ROUNDS = 5


def watched(guest, suspend):
    """The longest standstill in ms over all vCPUs while `suspend` is done."""
    guest.run("cd /tmp; setsid ./watchers >watchers.out 2>&1 & echo $! >/tmp/watchers.pid; sleep 1")
    suspend()
    guest.run("sleep 2; kill -TERM $(cat /tmp/watchers.pid); "
              "n=0; while kill -0 $(cat /tmp/watchers.pid) 2>/dev/null && [ $n -lt 100 ]; do sleep 0.2; n=$((n+1)); done",
              timeout=120)
    said = guest.run("cat /tmp/watchers.out").out
    gaps = [int(gap) for gap in re.findall(r"longest_us (\d+)", said)]
    if len(gaps) != guest.vcpus or "fault" in said:
        sys.exit(f"{guest.name}: {said}")
    return max(gaps) / 1000


def idle(_guest):
    return lambda: None


def checkpoint(guest):
    def suspend():
        guest.checkpoint(IMAGE)
        guest.host.run(f"rm {IMAGE}")
    return suspend


def save_and_restore(guest):
    def suspend():
        guest.save(IMAGE)
        guest.restore(IMAGE)
        guest.host.run(f"rm {IMAGE}")
    return suspend


WAYS = {"no suspend": idle, "cancelled": checkpoint, "restored": save_and_restore}


def measure(host, drivers, vcpus, options, program):
    with host.guest(type="hvm", drivers=drivers, kernel=options.kernel, vcpus=vcpus, memory=320, disks=[32],
                    modules=options.modules) as guest:
        if drivers == "xpv":
            guest.load_xpv()
        guest.wait_for_disk()
        guest.write_file("/tmp/watchers", program)
        guest.run("chmod +x /tmp/watchers")
        return {way: [watched(guest, make(guest)) for _ in range(ROUNDS)] for way, make in WAYS.items()}


def main(options):
    with tempfile.TemporaryDirectory() as scratch, Host() as host:
        path = Path(scratch) / "watchers"
        subprocess.run(["gcc", "-O2", "-static", "-pthread", "-o", path, initrd.INSIDE / "watchers.c"], check=True)
        print(f"Longest standstill of a vCPU in ms, median (largest) of {ROUNDS}")
        print("| vCPUs | suspend | in-tree | xpv | ratio |")
        print("|---|---|---|---|---|", flush=True)
        for vcpus in options.vcpus or (1, 2, 4):
            both = [measure(host, drivers, vcpus, options, path.read_bytes()) for drivers in ("intree", "xpv")]
            for way in WAYS:
                theirs, ours = (statistics.median(found[way]) for found in both)
                print(f"| {vcpus} | {way} | {theirs:.0f} ({max(both[0][way]):.0f}) | {ours:.0f} "
                      f"({max(both[1][way]):.0f}) | {ours / theirs:.2f} |", flush=True)
