# SPDX-License-Identifier: GPL-2.0-only
"""xpv's store client on real Xen: what it shows, and xenstored stopped and gone on."""

import re
import time
from pathlib import Path

import pytest

from xpvlab.waiting import until

SNOOP = Path(__file__).resolve().parents[2] / "tools" / "xenstore-snoop"


def logged(guest, text):
    return guest.run(f"dmesg | grep -q '{text}'", check=False).status == 0


def unbind(guest):
    """Take the disk from its driver: the driver's directory in sysfs, and the device's name."""
    link = guest.run("ls -d /sys/bus/xpv/drivers/*/vbd-* | head -1").out.strip()
    driver, device = link.rsplit("/", 1)
    guest.run(f"echo {device} >{driver}/unbind")
    return driver, device


def backend_state(host, guest):
    return host.run(f"xenstore-read /local/domain/0/backend/vbd/{guest.domid}/51712/state").out.strip()


@pytest.mark.vcpus(2)
def test_table(xpv):
    """Watches of the bus and the disk are registered; nothing is left in flight, no transaction open."""
    xpv.load_xpv()
    xpv.wait_for_disk()
    until(lambda: xpv.counts("xenbus")["in_flight"] == 0)
    table = xpv.run("cat /sys/kernel/debug/xpv/store").out
    assert table.startswith("# connection up; ")
    head, requests, transactions, watches = re.split(r"^# (?:requests|transactions|watches)\n", table, flags=re.M)
    assert "connection 0, error 0" in head
    assert len(requests.splitlines()) == 1 and len(transactions.splitlines()) == 1
    rows = [line.split() for line in watches.splitlines()[1:]]
    assert {"device"} <= {row[-1] for row in rows}
    assert any("/backend/vbd/" in row[-1] for row in rows)
    assert all("M" not in row[1] for row in rows)
    assert xpv.counts("xenbus")["losses"] == xpv.counts("xenbus")["timed_out"] == 0
    xpv.unload_xpv()


@pytest.mark.vcpus(2)
def test_snoop(xpv, host):
    """One line for each request of a reconnecting disk, and for the events."""
    xpv.load_xpv()
    xpv.wait_for_disk()
    snoop = xpv.write_program("xenstore-snoop", SNOOP.read_bytes())
    tracing = xpv.tracefs()
    xpv.run(f"{snoop} --requests >/tmp/snoop 2>&1 </dev/null & echo $! >/tmp/snoop.pid")
    try:
        until(lambda: "DURATION" in xpv.run("cat /tmp/snoop", check=False).out)
        driver, device = unbind(xpv)
        xpv.run(f"echo {device} >{driver}/bind")
        xpv.wait_for_disk()
        time.sleep(2)
    finally:
        xpv.run("kill $(cat /tmp/snoop.pid)")
    until(lambda: xpv.run(f"ls {tracing}/instances").out.strip() == "")
    lines = xpv.run("cat /tmp/snoop").out.splitlines()
    assert any(re.search(r" WRITE +device/vbd/51712/state +ok +\d+\.\d{3} ms", line) for line in lines), lines
    assert any(re.search(r" READ .* \.\.\.", line) for line in lines)
    assert any(" WATCH_EVENT " in line for line in lines)
    xpv.unload_xpv()


@pytest.mark.vcpus(2)
def test_xenstored_stopped(xpv, host):
    """Case 32. xenstored stops for 20 s while a disk is bound to its driver. A
    client without a watchdog hangs and says nothing, and one that gives up
    loses requests. The stall must be logged, each request get its reply when
    xenstored goes on, and the disk work."""
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    driver, device = unbind(xpv)
    host.run("kill -STOP $(pidof xenstored)")
    try:
        xpv.run(f"(echo {device} >{driver}/bind) >/dev/null 2>&1 </dev/null &")
        time.sleep(20)
        assert logged(xpv, "xenstored made no progress for")
    finally:
        host.run("kill -CONT $(pidof xenstored)")
    until(lambda: backend_state(host, xpv) == "4")
    xpv.wait_for_disk()
    xpv.run(f"dd if={node} of=/dev/null bs=64k count=16 iflag=direct status=none")
    until(lambda: xpv.counts("xenbus")["in_flight"] == 0)
    # Said by the watchdog, when it looks again.
    until(lambda: logged(xpv, "xenstored makes progress again after"))
    assert xpv.counts("xenbus")["timed_out"] == xpv.counts("xenbus")["losses"] == 0
    xpv.unload_xpv()


@pytest.mark.matrix
@pytest.mark.vcpus(2)
def test_io_while_xenstored_is_stopped(xpv, host):
    """Case 32. xenstored stops while the disk is in use. A driver whose data
    path needs the store stops the disk with it. Each read must end in time."""
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    host.run("kill -STOP $(pidof xenstored)")
    try:
        for _ in range(5):
            xpv.run(f"dd if={node} of=/dev/null bs=64k count=64 iflag=direct status=none", timeout=60)
    finally:
        host.run("kill -CONT $(pidof xenstored)")
    xpv.unload_xpv()


@pytest.mark.matrix
@pytest.mark.vcpus(2)
def test_watches_do_not_pile_up(xpv, host):
    """Loads and unloads leave no watch in xenstored, which allows 128."""
    for _ in range(5):
        xpv.load_xpv()
        xpv.wait_for_disk()
        assert xpv.counts("xenbus")["watches"] < 10
        xpv.unload_xpv()
