# SPDX-License-Identifier: GPL-2.0-only
"""xpv's disk in a stock guest on real Xen: data, life cycle, leftovers.

The tests of one guest run in this order; each leaves it without xpv.
"""

import pytest

from xpvlab import disktest, xenstate
from xpvlab.waiting import wait_until

# After unloading, each of these finds nothing. Linux's own workers keep the name
# of the queue that they last worked for; a rescuer (kworker/R-...) is ours.
LEFTOVERS = """
grep -l xpv /proc/modules /proc/interrupts /proc/iomem 2>/dev/null
ls -d /sys/bus/xpv /sys/kernel/debug/xpv /dev/xvd* 2>/dev/null
ps -eo comm | grep -i xpv | grep -vE '^kworker/u?[0-9]+:'
true
"""
FREE_MEMORY = "sync; echo 3 >/proc/sys/vm/drop_caches; sleep 1; awk '/MemFree/ {print $2}' /proc/meminfo"


def leftovers(guest, host, ports):
    """What xpv left behind in the guest and in Xen, as text."""
    found = guest.run(LEFTOVERS).out.split()
    found += [f"port {p}" for p in sorted(xenstate.open_ports(host, guest.domid) - ports)]
    return found


@pytest.mark.matrix
@pytest.mark.first
@pytest.mark.vcpus(1)
def test_upcall_by_platform_interrupt(xpv, host):
    """Without upcall vectors all events come to vCPU 0, and the disk works."""
    xpv.load_xpv(evtchn="upcall=intx abi=2level")
    node = xpv.wait_for_disk()
    xpv.run(f"dd if=/dev/urandom of={node} bs=1M count=8 oflag=direct status=none")
    whole = "dd if={} bs=1M count=8 iflag=direct status=none | sha256sum"
    assert xpv.run(whole.format(node)).out == host.run(whole.format(xpv.disks[0].backend)).out
    upcalls, = [l for l in xpv.run("cat /proc/interrupts").out.splitlines() if "xpv upcall" in l]
    assert "IO-APIC" in upcalls
    xpv.unload_xpv()


@pytest.mark.first
@pytest.mark.vcpus(2, 4, more=(1,))
def test_disk(xpv, host):
    """Data through ext4, equal after a remount and in dom0's eyes; then
    unloaded without a trace, and loaded again with the data still there. Also
    the one test with the 2-level ABI, which a domain cannot go back to."""
    ports = xenstate.open_ports(host, xpv.domid)
    granted = xenstate.granted(host, xpv.domid)
    watches = xenstate.watches(host, xpv.domid)
    xpv.load_xpv(evtchn="abi=2level")
    assert "# 2-level ABI" in xpv.run("cat /sys/kernel/debug/xpv/evtchn").out
    digests = disktest.run(xpv, host, size=16)
    assert xenstate.watches(host, xpv.domid) > watches
    assert digests.written == digests.read
    assert digests.disk == digests.backend

    interrupts = xpv.run("grep xpv /proc/interrupts").out
    assert interrupts.count("xpv upcall") == xpv.vcpus
    assert "xenstore" in interrupts and "xvda" in interrupts

    xpv.unload_xpv()
    assert leftovers(xpv, host, ports) == []
    assert xenstate.granted(host, xpv.domid) == granted
    assert xenstate.watches(host, xpv.domid) == watches

    xpv.load_xpv()
    assert "# FIFO ABI" in xpv.run("cat /sys/kernel/debug/xpv/evtchn").out
    node = xpv.wait_for_disk()
    assert xpv.run(f"mount {node} /mnt && sha256sum </mnt/data && umount /mnt").out.split()[0] \
        == digests.written
    xpv.unload_xpv()


@pytest.mark.matrix
@pytest.mark.vcpus(2)
def test_ten_reloads_with_io_in_between(xpv, host):
    ports = xenstate.open_ports(host, xpv.domid)
    granted = xenstate.granted(host, xpv.domid)
    xpv.load_xpv()
    xpv.run(f"mkfs.ext4 -q {xpv.wait_for_disk()}")
    xpv.unload_xpv()
    free_before = int(xpv.run(FREE_MEMORY).out)
    counts = set()
    for number in range(10):
        xpv.load_xpv()
        node = xpv.wait_for_disk()
        xpv.run(f"""set -e
            mount {node} /mnt
            if [ {number} -gt 0 ]; then [ "$(cat /mnt/round)" = {number - 1} ]; sha256sum -c --quiet /tmp/sum; fi
            echo {number} >/mnt/round
            dd if=/dev/urandom of=/mnt/data bs=1M count=4 status=none
            sha256sum /mnt/data >/tmp/sum
            umount /mnt""", timeout=300)
        now = xpv.counts("gnttab")
        counts.add((now["free"], now["in pools"], now["parked"], now["lost"]))
        xpv.unload_xpv()
        assert leftovers(xpv, host, ports) == []
        assert xenstate.granted(host, xpv.domid) == granted
    assert len(counts) == 1 and counts.pop()[2:] == (0, 0)
    # Other users of memory come and go too; a page lost in each round would be less than this.
    assert free_before - int(xpv.run(FREE_MEMORY).out) < 8192


@pytest.mark.vcpus(4)
def test_hot_plug(xpv, host):
    """A disk attached and detached with xl, idle and with I/O in flight."""
    xpv.load_xpv()
    xpv.wait_for_disk()
    before = xpv.counts("gnttab")
    host.run("truncate -s 64M /var/hot.img")
    device = host.run("losetup -f --show /var/hot.img").out.strip()
    try:
        for io in (False, True, True):
            host.run(f"xl block-attach {xpv.name} phy:{device} xvdf w")
            wait_until(xpv, "[ -b /dev/xvdf ]")
            writer = None
            if io:
                # An error message may come in pieces: a file for each writer.
                writer = xpv.start("for n in 1 2 3 4; do (while [ -b /dev/xvdf ]; do dd if=/dev/zero of=/dev/xvdf "
                                   "bs=64k oflag=direct conv=nocreat status=none; done) 2>/tmp/writer$n & done; "
                                   "wait; cat /tmp/writer?; exit 9")
                wait_until(xpv, "[ $(awk '{print $7}' /sys/block/xvdf/stat) -gt 200 ]")
            host.run(f"xl block-detach {xpv.name} xvdf")
            wait_until(xpv, "[ ! -e /sys/block/xvdf ]")
            if writer:
                # None hangs. What was in flight ends with EIO; who comes later finds a disk of no size, or none.
                result = writer.wait(60)
                assert result.status == 9
                endings = {line.rsplit(": ", 1)[-1] for line in result.out.splitlines()}
                assert endings and endings <= {"Input/output error", "No space left on device", "No such device",
                                               "No such device or address", "No such file or directory"}, result.out
            assert "xvdf" not in xpv.run("cat /proc/interrupts").out
    finally:
        host.run(f"xl block-detach {xpv.name} xvdf; losetup -d {device}; rm -f /var/hot.img", check=False)
    after = xpv.counts("gnttab")
    assert (after["in pools"], after["parked"], after["lost"]) == (before["in pools"], 0, 0)
    # The other disk never noticed.
    xpv.run("dd if=/dev/xvda of=/dev/null bs=1M count=8 iflag=direct status=none")
    xpv.unload_xpv()


@pytest.mark.vcpus(2)
def test_irq_affinity(xpv):
    """Events follow smp_affinity, and move away from a CPU that goes offline."""
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    irq = xpv.run("awk '/ xvda$/ {sub(\":\", \"\", $1); print $1}' /proc/interrupts").out.strip()

    def counts():
        return [int(n) for n in xpv.run(f"grep '^ *{irq}:' /proc/interrupts").out.split()[1:3]]

    def read():
        xpv.run(f"dd if={node} of=/dev/null bs=64k count=50 iflag=direct status=none")

    for cpu in (0, 1):
        xpv.run(f"echo {cpu} >/proc/irq/{irq}/smp_affinity_list")
        before = counts()
        read()
        after = counts()
        assert after[cpu] - before[cpu] >= 10
        assert after[1 - cpu] == before[1 - cpu]
    xpv.run("echo 0 >/sys/devices/system/cpu/cpu1/online")
    read()
    xpv.run("echo 1 >/sys/devices/system/cpu/cpu1/online")
    xpv.run(f"echo 1 >/proc/irq/{irq}/smp_affinity_list")
    before = counts()
    read()
    assert counts()[1] - before[1] >= 10
    xpv.unload_xpv()
