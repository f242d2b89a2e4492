# SPDX-License-Identifier: GPL-2.0-only
"""xenstored that answers nothing for a minute, at a chosen moment of a
suspend or of a reconnection. It recovers by itself, with the disk kept."""

import pytest

from xpvlab.diskload import DiskLoad
from xpvlab.storestall import StoreStall
from xpvlab.underload import IMAGE, expect_alive, suspends
from xpvlab.waiting import until

STALLED = 60            # seconds
PATIENCE = 240
# A request of the guest's has a path that is relative to its domain, or an absolute one of the backend's.
STEPS = {
    "first request": r"^IN \S+ \d+ \S+ \w+ \((device|control|domid)",
    "backend is looked up": r"^IN .* READ \(device/vbd/51712/backend ",
    "backend is watched": r"^IN .* WATCH \(/local/domain/0/backend/vbd/\d+/51712/state ",
    "ring is published": r"^IN .* WRITE \(device/vbd/51712/ring-",
    "initialised": r"^IN .* WRITE \(device/vbd/51712/state 3",
    "backend connected": r"^IN .* WRITE \((/local/domain/0/)?backend/vbd/\d+/51712/state 4",
    "connected": r"^IN .* WRITE \(device/vbd/51712/state 4",
}


def no_other_guest_begins(host):
    """The next guest may be booting, and xl does not wait that long."""
    until(lambda: all(one.domid is not None for one in host.guests if one.started), 300)


@pytest.mark.matrix
@pytest.mark.vcpus(2)
@pytest.mark.parametrize("step", STEPS)
def test_store_stalls_in_a_reconnection(xpv, host, step):
    """Case 32. xenstored stops for a minute at a chosen request of a restored
    guest's reconnection. A driver that gives up then fails a mounted disk, and
    one that loses a request never reconnects. The disk must connect by itself
    when xenstored goes on, with no request or grant reference lost."""
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    no_other_guest_begins(host)
    with DiskLoad(xpv, node, xpv.disks[0].backend) as load:
        load.progress()
        xpv.save(IMAGE)
        stall = None

        def paused():
            nonlocal stall
            stall = StoreStall(host, STALLED, STEPS[step])

        xpv.restore(IMAGE, paused=paused)
        print(f"{step}: {stall.over()}")
        host.run(f"rm {IMAGE}")
        expect_alive(xpv)
        load.progress(PATIENCE)
        load.end()
    until(lambda: xpv.counts("xenbus")["in_flight"] == 0)
    assert suspends(xpv)["restored"] == "1"
    counts = xpv.counts("gnttab")
    assert counts["lost"] == 0
    until(lambda: xpv.counts("gnttab")["parked"] == 0)
    xpv.unload_xpv()


@pytest.mark.matrix
@pytest.mark.vcpus(2)
def test_suspend_meets_a_stalled_store(xpv, host):
    """Case 32. xenstored stops after the guest has acknowledged a suspend. A
    guest that suspends when xl has given up is a domain that is never resumed.
    The suspend must be refused in time, the guest go on, and the next suspend
    succeed."""
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    no_other_guest_begins(host)
    xpv.run("rm -f /tmp/stop; setsid sh -c 'while [ ! -e /tmp/stop ]; do "
            "xenstore-ls >/dev/null; xenstore-write data/stall x; done' >/dev/null 2>&1 & echo $! >/tmp/store.pid")
    with DiskLoad(xpv, node, xpv.disks[0].backend) as load:
        load.progress()
        # Its acknowledgement has arrived.
        stall = StoreStall(host, 70, r"^IN .* WRITE \(control/shutdown ", r"^OUT .* TRANSACTION_END")
        save = host.start(f"xl save {xpv.name} {IMAGE}")
        stall.stopped()
        stall.over()
        result = save.wait(300)
        print(result.err)
        assert result.status != 0
        assert xpv.exists()
        expect_alive(xpv)
        load.progress(PATIENCE)
        counted = suspends(xpv)
        assert (counted["restored"], counted["cancelled"], counted["failed"]) == ("0", "0", "1")

        host.run(f"rm -f {IMAGE}")
        xpv.run("touch /tmp/stop")
        xpv.save(IMAGE)
        xpv.restore(IMAGE)
        host.run(f"rm {IMAGE}")
        expect_alive(xpv)
        load.progress()
        assert suspends(xpv)["restored"] == "1"
        load.end()
    xpv.run("kill -KILL -$(cat /tmp/store.pid)", check=False)
    xpv.unload_xpv()
