# SPDX-License-Identifier: GPL-2.0-only
"""xpv's event channels on real Xen: what they show, and what they withstand."""

import os
import re
import time

import pytest

from xpvlab import built, disktest
from xpvlab.waiting import wait_until

# How long the storms blow, in seconds; a long one on demand.
STORM_SECONDS = int(os.environ.get("XPV_STORM_SECONDS", "10"))


def table(guest):
    """The rows of the event channel table, by name."""
    lines = guest.run("cat /sys/kernel/debug/xpv/evtchn").out.splitlines()
    head, rows = lines[1].split(), {}
    for line in lines[2:]:
        row = dict(zip(head, line.split()))
        # "xen debug" is two words.
        rows["xen debug" if row["TYPE"] == "virq" else row["NAME"]] = row
    return rows


@pytest.mark.vcpus(4, more=(1, 2))
def test_table_and_reports(xpv, host):
    """The table in debugfs, and every module's report when dom0 asks."""
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    abi = "2-level" if host.abi == "2level" else "FIFO"
    assert f"# {abi} ABI" in xpv.run("head -1 /sys/kernel/debug/xpv/evtchn").out
    before = table(xpv)
    assert before["xvda"]["TYPE"] == before["xenstore"]["TYPE"] == "interdomain"
    assert before["xvda"]["REMOTE"] == "0" and before["xen debug"]["REMOTE"] == "1"
    assert all(0 <= int(row["CPU"]) < xpv.vcpus for row in before.values())
    xpv.run(f"dd if={node} of=/dev/null bs=64k count=50 iflag=direct status=none")
    after = table(xpv)
    assert int(after["xvda"]["EVENTS"]) - int(before["xvda"]["EVENTS"]) >= 10

    xpv.run("dmesg -C")
    host.run("xl debug-keys q")
    wait_until(xpv, "dmesg | grep -q 'xpv blkfront: xvda'")
    log = xpv.run("dmesg").out
    assert re.search(r"xpv evtchn: interdomain .* xvda ", log)
    assert "xpv gnttab: parked        0" in log and "xpv xenbus: in_flight 0" in log
    xpv.unload_xpv()


@pytest.mark.vcpus(2)
def test_tracepoints(xpv):
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    tracing = xpv.tracefs()
    xpv.run(f"echo 1 >{tracing}/events/xpv_evtchn/enable")
    port = table(xpv)["xvda"]["PORT"]
    xpv.run(f"dd if={node} of=/dev/null bs=64k count=10 iflag=direct status=none; ls /sys/bus/xpv >/dev/null")
    trace = xpv.run(f"cat {tracing}/trace; echo 0 >{tracing}/events/xpv_evtchn/enable").out
    assert f"xpv_event: port={port} " in trace
    xpv.unload_xpv()


@pytest.fixture(scope="session")
def storm(host):
    """The module that sends events, in dom0 (/share/storm.ko)."""
    return host.write_file("storm.ko", built.module("storm", host.dom0_image.kernel.release))


def dom0_port(host, guest, port):
    """dom0's end of a guest's port."""
    out = host.run("/usr/lib/xen-4.17/bin/lsevtchn 0").out
    match = re.search(rf"^\s*(\d+): VCPU \d+: Interdomain \(Connected\) - Remote Domain {guest.domid}, Port {port}$",
                      out, re.MULTILINE)
    assert match, out
    return int(match[1])


def blow(host, module, port, seconds, meanwhile):
    """Send events for some seconds; calls meanwhile() again and again; returns how many were sent."""
    host.run(f"insmod {module} port={port}")
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            meanwhile()
    finally:
        sent = int(host.run("cat /sys/module/storm/parameters/sent; rmmod storm").out)
    assert sent > 0
    return sent


@pytest.mark.vcpus(4, more=(1, 2))
def test_storm_on_a_live_device(xpv, host, storm):
    """Case 17 (XSA-332, XSA-391). dom0's kernel sends events through the disk's
    port as fast as it can. A driver that handles each leaves its CPU no time
    for anything else. The guest must handle less than a tenth of them, and its
    disk and shell work meanwhile and afterwards."""
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    row = table(xpv)["xvda"]
    rounds = []

    def work():
        xpv.run(f"dd if={node} of=/dev/null bs=64k count=16 iflag=direct status=none && uptime", timeout=300)
        rounds.append(1)

    sent = blow(host, storm, dom0_port(host, xpv, row["PORT"]), STORM_SECONDS, work)
    after = table(xpv)["xvda"]
    handled = int(after["EVENTS"]) - int(row["EVENTS"])
    assert rounds and sent > 1000
    assert int(after["SPURIOUS"]) > int(row["SPURIOUS"])
    assert handled * 10 < sent, (handled, sent)
    # And then all is as before.
    work()
    xpv.unload_xpv()


@pytest.mark.matrix
@pytest.mark.vcpus(4, more=(1, 2))
def test_storm_on_the_store(xpv, host, storm):
    """Case 17, through xenstore's port. A client that reads the ring at each
    event leaves its CPU no time for anything else. The guest must handle less
    than a tenth of the events, its shell work meanwhile, and the store
    afterwards."""
    xpv.load_xpv()
    xpv.wait_for_disk()
    row = table(xpv)["xenstore"]
    sent = blow(host, storm, dom0_port(host, xpv, row["PORT"]), STORM_SECONDS, lambda: xpv.run("uptime", timeout=300))
    after = table(xpv)["xenstore"]
    assert (int(after["EVENTS"]) - int(row["EVENTS"])) * 10 < sent
    # The store still serves.
    xpv.unload_xpv()
    xpv.load_xpv()
    xpv.wait_for_disk()
    xpv.unload_xpv()


@pytest.mark.matrix
@pytest.mark.vcpus(4, more=(1, 2))
def test_storm_on_a_dead_device(xpv, host, storm):
    """Case 17. The driver has been unbound from the device, and dom0 goes on
    sending events through its port. A driver that leaves the channel open takes
    an interrupt for each, with no handler to stop them. The channel must be
    gone, the guest's shell work, and no event be logged as without a handler."""
    xpv.load_xpv()
    xpv.wait_for_disk()
    port = dom0_port(host, xpv, table(xpv)["xvda"]["PORT"])
    xpv.run("d=$(basename $(ls -d /sys/bus/xpv/drivers/*/vbd-* | head -1)); "
            "echo $d >$(dirname $(ls -d /sys/bus/xpv/drivers/*/vbd-* | head -1))/unbind")
    assert "xvda" not in table(xpv)
    blow(host, storm, port, STORM_SECONDS / 2, lambda: xpv.run("uptime", timeout=300))
    assert "event without a handler" not in xpv.run("dmesg").out
    xpv.unload_xpv()


@pytest.mark.matrix
@pytest.mark.vcpus(2)
def test_a_vector_for_each_vcpu(xpv, host):
    """Upcalls as interrupts of the local APIC. Last, for Xen forgets these
    vectors only with the domain, and later loads have to go on with them."""
    for parameters in ("upcall=vector", "", "upcall=auto"):
        xpv.load_xpv(evtchn=parameters)
        assert "a vector for each vCPU" in xpv.run("head -1 /sys/kernel/debug/xpv/evtchn").out
        digests = disktest.run(xpv, host, size=8)
        assert digests.equal
        xpv.unload_xpv()
    refused = xpv.run("insmod /lab/payload/modules/xpv_lib.ko; insmod /lab/payload/modules/xpv_hypervisor.ko; "
                      "insmod /lab/payload/modules/xpv_evtchn.ko upcall=callback", check=False)
    assert refused.status != 0 and "busy" in refused.err
    xpv.run("rmmod xpv_hypervisor xpv_lib")


@pytest.mark.matrix
@pytest.mark.newest_kernel
def test_more_vcpus_than_shared_info_has_room_for(guest, kernel, modules):
    """vCPUs from 32 on, which register their own info; those that come online
    only later too. So many emulated ones at once are too slow to start: Linux
    starts with two, and others are brought up by hand."""
    many = guest(type="hvm", drivers="xpv", modules=modules, vcpus=40, memory=768, disks=[16],
                 cmdline="maxcpus=2")

    def online(cpu, yes=1):
        many.run(f"echo {yes} >/sys/devices/system/cpu/cpu{cpu}/online", timeout=300)

    def serve_disk_on(cpu):
        """The events that CPU has when it serves the disk."""
        many.run(f"echo {cpu} >/proc/irq/{irq}/smp_affinity_list; "
                 f"dd if={node} of=/dev/null bs=64k count=20 iflag=direct status=none")
        head, line = many.run(f"head -1 /proc/interrupts; grep '^ *{irq}:' /proc/interrupts").out.splitlines()
        return int(line.split()[1 + head.split().index(f"CPU{cpu}")])

    online(33)
    for abi in ("2level", "fifo"):
        many.load_xpv(evtchn=f"abi={abi}")
        node = many.wait_for_disk()
        irq = many.run("awk '/ xvda$/ {sub(\":\", \"\", $1); print $1}' /proc/interrupts").out.strip()
        for cpu in (33, 1):
            assert serve_disk_on(cpu) >= 20
        online(39)
        assert serve_disk_on(39) >= 20
        online(39, 0)
        assert serve_disk_on(33) >= 40
        online(39)
        assert serve_disk_on(39) >= 40
        many.unload_xpv()
        online(39, 0)
