# SPDX-License-Identifier: GPL-2.0-only
"""Suspends of a guest that has no memory left but what it swaps."""

import pytest

from xpvlab import Disk
from xpvlab.guest import AS_LOAD
from xpvlab.initrd import INSIDE
from xpvlab.storetool import vdev
from xpvlab.underload import IMAGE, expect_alive, suspends
from xpvlab.waiting import until, wait_until

NAME, _ = vdev(6)               # xvdg: unlike xvdf's, an error of its I/O fails the run
ROUNDS = 10
SWAP = 160                      # MiB
PROGRESS = 2048                 # pages


@pytest.mark.matrix
@pytest.mark.vcpus(2, more=(4,))
def test_all_memory_used(xpv, host):
    """Restored ten times with its swap on xvd. While its disk is not back,
    nothing that would bring it back may wait for memory."""
    xpv.load_xpv()
    host.run(f"truncate -s {SWAP}M /var/swap.img")
    device = host.run("losetup -f --show /var/swap.img").out.strip()
    swap = Disk(SWAP << 20, vdev=NAME, backend=device)
    host.run(f"xl block-attach {xpv.name} phy:{device} {NAME} w")
    xpv.disks.append(swap)

    def pages():
        return int(xpv.run("cat /tmp/pages.count 2>/dev/null || echo 0", timeout=300).out or 0)

    def goes_on():
        before = pages()
        until(lambda: pages() >= before + PROGRESS, 300)

    try:
        wait_until(xpv, f"[ -b /dev/{NAME} ]")
        xpv.write_file("/tmp/pages.py", (INSIDE / "pages.py").read_text())
        free = int(xpv.run(f"mkswap /dev/{NAME} >/dev/null && swapon /dev/{NAME} && "
                           "awk '/^MemAvailable/ {print $2}' /proc/meminfo").out) >> 10
        xpv.run(f"setsid {AS_LOAD} python3 /tmp/pages.py {free + SWAP // 2} /tmp/pages.count >/tmp/pages.out 2>&1 & "
                "echo $! >/tmp/pages.pid")
        until(lambda: int(xpv.run("awk 'NR > 1 {print $4}' /proc/swaps", timeout=300).out) > SWAP << 8, 300)
        goes_on()
        for number in range(ROUNDS):
            xpv.save(IMAGE)
            xpv.restore(IMAGE)
            host.run(f"rm {IMAGE}")
            expect_alive(xpv)
            assert suspends(xpv)["restored"] == str(number + 1)
            goes_on()
        xpv.run("kill -TERM $(cat /tmp/pages.pid); end=$((SECONDS + 800)); while kill -0 $(cat /tmp/pages.pid); do "
                "sleep 0.5; [ $SECONDS -lt $end ] || exit 1; done 2>/dev/null; grep -qx end /tmp/pages.out", timeout=900)
    finally:
        xpv.run(f"kill -KILL $(cat /tmp/pages.pid); swapoff /dev/{NAME}", check=False, timeout=300)
        xpv.disks.remove(swap)
        host.run(f"xl block-detach {xpv.name} {NAME}; losetup -d {device}; rm -f /var/swap.img", check=False)
    wait_until(xpv, f"[ ! -e /sys/block/{NAME} ]")
    xpv.unload_xpv()
