# SPDX-License-Identifier: GPL-2.0-only
"""xpv with oxenstored, the other daemon that Xen has for the store."""

import pytest

from xpvlab import Host, disktest, xenstate
from xpvlab.underload import IMAGE, expect_alive, suspends
from xpvlab.waiting import shell_until, wait_until

STOCK_TOOLS = """
set -e
me=$(xenstore-read domid)
xenstore-write data/lab/a 1 data/lab/b "two words"
[ "$(xenstore-read data/lab/b)" = "two words" ]
[ "$(xenstore-list data/lab | sort | tr '\\n' ' ')" = "a b " ]
xenstore-chmod data/lab/a n$me r0
xenstore-watch -n 3 data/lab >/tmp/watch.out 2>&1 & watcher=$!
""" + shell_until("grep -q . /tmp/watch.out") + """
xenstore-write data/lab/a 2 data/lab/c 3
wait $watcher
xenstore-rm data/lab
if xenstore-exists data/lab; then exit 1; fi
xenstore-ls device
"""


@pytest.fixture(scope="module")
def other(request):
    """A machine of its own, beside the one that the other tests share."""
    if request.config.getoption("--modules") is None:
        pytest.skip("no --modules")
    with Host(memory=2048, xenstored="oxenstored") as machine:
        yield machine


@pytest.mark.matrix
@pytest.mark.newest_kernel
def test_oxenstored(other, modules, kernel):
    """Load, data, hot plug, the stock tools, unload, and once more; a
    checkpoint, and a save and restore."""
    assert other.run("pidof oxenstored").out.strip()
    with other.guest(type="hvm", drivers="xpv", modules=modules, kernel=kernel, disks=[48]) as guest:
        ports = xenstate.open_ports(other, guest.domid)
        for _ in range(2):
            guest.load_xpv()
            assert disktest.run(guest, other, size=8).equal
            table = guest.run("cat /sys/kernel/debug/xpv/store").out
            assert table.startswith("# connection up; ") and "error 0" in table
            guest.run(STOCK_TOOLS, timeout=300)

            other.run("truncate -s 16M /var/hot.img")
            device = other.run("losetup -f --show /var/hot.img").out.strip()
            other.run(f"xl block-attach {guest.name} phy:{device} xvdf w")
            wait_until(guest, "[ -b /dev/xvdf ]")
            guest.run("udevadm settle --timeout=60; "
                      "dd if=/dev/xvdf of=/dev/null bs=64k count=16 iflag=direct status=none", timeout=180)
            other.run(f"xl block-detach {guest.name} xvdf; losetup -d {device}; rm /var/hot.img")
            wait_until(guest, "[ ! -e /sys/block/xvdf ]")
            counts = dict(line.split() for line in guest.run("cat /sys/kernel/debug/xpv/xenbus").out.splitlines())
            assert counts["losses"] == counts["timed_out"] == "0"
            # Nobody waits for the answer when a watch is removed: the tool's, and xvdf's.
            assert int(counts["dropped"]) <= 2
            guest.unload_xpv()
            assert xenstate.open_ports(other, guest.domid) == ports

        guest.load_xpv()
        guest.checkpoint(IMAGE)
        expect_alive(guest)
        guest.save(IMAGE)
        guest.restore(IMAGE)
        expect_alive(guest)
        assert disktest.run(guest, other, size=8).equal
        guest.run(STOCK_TOOLS, timeout=300)
        assert suspends(guest)["restored"] == suspends(guest)["cancelled"] == "1"
        guest.unload_xpv()
