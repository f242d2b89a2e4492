# SPDX-License-Identifier: GPL-2.0-only
"""Suspends that meet trouble: refused, restored to backends that go or come
late, with many vCPUs, or in the middle of a debugger's work."""

import hashlib
import os
import random
import re
import time

import pytest

from xpvlab import Disk, built
from xpvlab.underload import IMAGE, expect_alive, suspends
from xpvlab.waiting import shell_until, until

XVDF = 51792        # the virtual device number of xvdf
# Time for a whole pass of the bus, on a slow machine.
PATIENCE = 120


def read_store(host, path):
    """The node's text, or None when there is none."""
    found = host.run(f"xenstore-read {path}", check=False)
    return None if found.status else found.out.rstrip("\n")


def backend(guest, node=""):
    return f"/local/domain/0/backend/vbd/{guest.domid}/{XVDF}{node}"


def guest_with_xvdf(guest, modules):
    one = guest(type="hvm", drivers="xpv", modules=modules, disks=[Disk(48 << 20), Disk(16 << 20, vdev="xvdf")],
                expected=[r"I/O error, dev xvdf", r"Buffer I/O error on dev xvdf"])
    one.load_xpv()
    one.wait_for_disk(0)
    one.wait_for_disk(1)
    return one


# ---- Backends of the new domain ----


@pytest.mark.matrix
@pytest.mark.newest_kernel
def test_detach_right_after_restore(guest, host, modules):
    """A disk in use, detached before the restored guest runs, as it starts to
    run, and a little later: its I/O ends, its disk goes, the other stays."""
    one = guest_with_xvdf(guest, modules)
    in_pools = None
    for after in (-2, 0, 1, 3):     # seconds from unpausing to detaching
        one.wait_for_disk(1)
        one.run("setsid sh -c 'while [ -b /dev/xvdf ]; do dd if=/dev/zero of=/dev/xvdf bs=64k oflag=direct "
                "conv=nocreat status=none; done' >/tmp/writer.out 2>&1 & echo $! >/tmp/writer.pid")
        written = "awk '{print $7}' /sys/block/xvdf/stat"
        until(lambda: int(one.run(written).out) > 200, PATIENCE)
        one.save(IMAGE)
        detach = None

        def paused():
            nonlocal detach
            detach = host.start(f"sleep {max(after, 0)}; xl block-detach {one.name} xvdf")
            time.sleep(max(-after, 0))

        one.restore(IMAGE, paused=paused)
        host.run(f"rm {IMAGE}")
        assert detach.wait(PATIENCE).status == 0
        expect_alive(one)
        until(lambda: one.run("[ -e /sys/block/xvdf ]", check=False).status != 0, PATIENCE)
        until(lambda: one.run("kill -0 $(cat /tmp/writer.pid)", check=False).status != 0, PATIENCE)
        assert "xvdf" not in one.run("cat /proc/interrupts").out
        until(lambda: read_store(host, backend(one, "/state")) is None, PATIENCE)
        one.run("dd if=/dev/xvda of=/dev/null bs=1M count=8 iflag=direct status=none")
        counts = one.counts("gnttab")
        assert counts["parked"] == counts["lost"] == 0
        # The pools are what they were in the round before: nothing of the disk's is kept.
        assert in_pools in (None, counts["in pools"])
        in_pools = counts["in pools"]
        # For the next round, whose configuration has the disk again.
        one.save(IMAGE)
        one.restore(IMAGE)
        host.run(f"rm {IMAGE}")
    assert suspends(one)["restored"] == "8"
    one.unload_xpv()


@pytest.mark.matrix
@pytest.mark.newest_kernel
def test_backend_that_is_late(guest, host, modules):
    """Case 23, after a restore. For a minute xen-blkback does not serve the
    disk: it is not there yet, or it does not answer the handshake. A driver
    that gives up fails the disk's writers, and one that submits too early loses
    what they wrote. What is written meanwhile must wait, and then be written
    once, and completed once."""
    one = guest_with_xvdf(guest, modules)
    for number, state in enumerate(("2", "1")):     # InitWait, Initialising: what the guest sees of it
        one.save(IMAGE)
        driver = "/sys/bus/xen-backend/drivers/vbd"

        def hold():
            until(lambda: read_store(host, backend(one, "/state")) == "2", PATIENCE)
            host.run(f"echo vbd-{one.domid}-{XVDF} >{driver}/unbind")
            host.run(f"xenstore-write {backend(one, '/state')} {state}")

        one.restore(IMAGE, paused=hold)
        host.run(f"rm {IMAGE}")
        expect_alive(one)
        data = random.Random(number).randbytes(8 * 4096)
        one.write_file("/tmp/pattern", data)
        completed = "awk '{print $5}' /sys/block/xvdf/stat"
        before = int(one.run(completed).out)
        # Far from each other, so that none is merged with another.
        writers = [one.start(f"dd if=/tmp/pattern skip={n} of=/dev/xvdf seek={n * 100} bs=4k count=1 oflag=direct "
                             "conv=nocreat,notrunc status=none") for n in range(8)]
        time.sleep(60)
        assert all(writer.running() for writer in writers)
        assert int(one.run(completed).out) == before
        one.run("dd if=/dev/xvda of=/dev/null bs=1M count=8 iflag=direct status=none")

        host.run(f"echo vbd-{one.domid}-{XVDF} >{driver}/bind")
        if state != "2":
            # It believes to have said so; the toolstack's word for it was ours.
            host.run(f"xenstore-write {backend(one, '/state')} 2")
        for writer in writers:
            ended = writer.wait(PATIENCE)
            assert ended.status == 0, ended.err
        assert read_store(host, backend(one, "/state")) == "4"
        assert int(one.run(completed).out) == before + 8
        statistics = f"/sys/bus/xen-backend/devices/vbd-{one.domid}-{XVDF}/statistics"
        assert int(host.run(f"cat {statistics}/wr_req").out) == 8
        for n in range(8):
            found = host.run(f"dd if={one.disks[1].backend} skip={n * 100} bs=4k count=1 iflag=direct status=none "
                             "| sha256sum").out.split()[0]
            assert found == hashlib.sha256(data[n * 4096:(n + 1) * 4096]).hexdigest()
    one.unload_xpv()


# ---- The new host ----


@pytest.mark.matrix
@pytest.mark.newest_kernel
@pytest.mark.parametrize("clock", ["tsc", "hpet"])
def test_image_that_is_a_day_old(guest, host, modules, clock):
    """dom0's clock was set meanwhile: the guest has the new time of day, and
    its monotonic clock went on where it was, whatever counts for it."""
    one = guest(type="hvm", drivers="xpv", modules=modules, disks=[48], cmdline=f"clocksource={clock}")
    one.load_xpv()
    one.wait_for_disk()
    current = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
    assert one.run(f"cat {current}").out.startswith(clock)      # or tsc-early, which is the same until it is refined

    def seconds_behind():
        return int(host.run("date +%s").out) - int(one.run("date +%s").out)

    def monotonic():        # unlike the uptime, which counts how long it was saved
        return float(one.run("python3 -c 'import time; print(time.monotonic())'").out)

    assert abs(seconds_behind()) < 600
    before = monotonic()
    one.save(IMAGE)
    host.run("date -s '+1 day'")
    try:
        one.restore(IMAGE)
        expect_alive(one)
        until(lambda: abs(seconds_behind()) < 600, PATIENCE)
        assert before < monotonic() < before + 3600
        assert one.run(f"cat {current}").out.startswith(clock)
    finally:
        host.run(f"date -s '-1 day'; rm -f {IMAGE}")
    one.unload_xpv()


@pytest.mark.matrix
@pytest.mark.newest_kernel
def test_xenstored_that_updates_itself(guest, host, modules):
    """Before the restored guest runs, and several times while it connects anew.
    Not while xl works, which an update sometimes makes lose its connection."""
    one = guest(type="hvm", drivers="xpv", modules=modules, disks=[48])
    one.load_xpv()
    node = one.wait_for_disk()
    update = "xenstore-control live-update -t 60 $(command -v xenstored)"
    for round in (1, 2):
        updates = None

        def paused():
            nonlocal updates
            host.run(update, timeout=PATIENCE)
            updates = host.start(f"set -e; sleep 0.5; for n in 1 2 3; do {update}; done")

        one.save(IMAGE)
        one.restore(IMAGE, paused=paused)
        ended = updates.wait(PATIENCE)
        assert ended.status == 0, ended.err
        host.run(f"rm {IMAGE}")
        expect_alive(one)
        one.run(f"dd if={node} of=/dev/null bs=1M count=8 iflag=direct status=none; xenstore-read domid")
        assert (suspends(one)["restored"], suspends(one)["failed"]) == (str(round), "0")
    one.unload_xpv()


# ---- Refused ----


def move_tasks(guest, cpus):
    """To these CPUs, of all tasks that are not bound to one."""
    guest.write_file("/tmp/move.py", f"""
import os
for task in filter(str.isdigit, os.listdir("/proc")):
    try:
        os.sched_setaffinity(int(task), {cpus})
    except OSError:     # bound, or gone
        pass
""")
    guest.run("python3 /tmp/move.py")


@pytest.mark.matrix
@pytest.mark.vcpus(2)
def test_refused(xpv, host):
    """A CPU that does not respond: a real-time task leaves it no time for
    anything. The guest is not suspended, the store has the reason, all goes
    on, and once the task is gone the next suspend succeeds."""
    reason = f"/local/domain/{xpv.domid}/error/control/shutdown/error"
    fair = "/sys/kernel/debug/sched/fair_server/cpu1/runtime"       # what 6.12 grants the other tasks in any case
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    limit = xpv.run("cat /proc/sys/kernel/sched_rt_runtime_us").out.strip()
    share = xpv.run(f"cat {fair}", check=False).out.strip()
    xpv.run(f"echo -1 >/proc/sys/kernel/sched_rt_runtime_us; [ ! -e {fair} ] || echo 0 >{fair}")
    try:
        # What may run elsewhere is not to wait for that CPU, and the threads of interrupts come first (50).
        # Soft interrupts wait, and with them, on 6.1, RCU.
        move_tasks(xpv, {0})
        # By itself it ends before anything takes it for a lockup.
        xpv.run("setsid timeout -s KILL 60 taskset -c 1 chrt -f 10 sh -c '>/tmp/hog.runs; while :; do :; done' "
                ">/dev/null 2>&1 & echo $! >/tmp/hog.pid; until [ -e /tmp/hog.runs ]; do sleep 0.2; done")
        save = host.start(f"xl save {xpv.name} {IMAGE}")
        until(lambda: read_store(host, reason), PATIENCE)
    finally:
        xpv.run(f"kill -KILL -$(cat /tmp/hog.pid); echo {limit} >/proc/sys/kernel/sched_rt_runtime_us; "
                f"[ ! -e {fair} ] || echo {share} >{fair}", check=False)
        move_tasks(xpv, {0, 1})
    assert read_store(host, reason) == "16 suspend: vCPU 1 does not respond"
    expect_alive(xpv)
    xpv.run(f"dd if={node} of=/dev/null bs=64k count=20 iflag=direct status=none")
    assert [suspends(xpv)[name] for name in ("restored", "cancelled", "failed")] == ["0", "0", "1"]
    assert "CPU 1: stack trace:" in xpv.run("dmesg").out
    # xl waits for a minute, and lets the domain go on.
    assert save.wait(300).status != 0
    assert xpv.exists()
    host.run(f"rm -f {IMAGE}")

    xpv.checkpoint(IMAGE)
    host.run(f"rm {IMAGE}")
    expect_alive(xpv)
    xpv.run(f"dd if={node} of=/dev/null bs=64k count=20 iflag=direct status=none")
    assert suspends(xpv)["cancelled"] == "1"
    assert read_store(host, reason) is None
    xpv.unload_xpv()


# ---- Many vCPUs ----


@pytest.mark.matrix
@pytest.mark.newest_kernel
def test_more_vcpus_than_shared_info_has_room_for(guest, host, modules):
    """vCPUs from 32 on are rebuilt and have their own info registered anew;
    what is offline stays so; a disk is served where it was."""
    many = guest(type="hvm", drivers="xpv", modules=modules, vcpus=40, memory=768, disks=[16], cmdline="maxcpus=2")
    for cpu in (33, 39):
        many.run(f"echo 1 >/sys/devices/system/cpu/cpu{cpu}/online", timeout=300)
    online = (0, 1, 33, 39)

    def events(irq):
        """Of each CPU that is online."""
        head, line = many.run(f"head -1 /proc/interrupts; grep '^ *{irq}:' /proc/interrupts").out.splitlines()
        return dict(zip(head.split(), map(int, line.split()[1:1 + len(head.split())])))

    for abi in ("2level", "fifo"):
        many.load_xpv(evtchn=f"abi={abi}")
        node = many.wait_for_disk()
        irq = many.run("awk '/ xvda$/ {sub(\":\", \"\", $1); print $1}' /proc/interrupts").out.strip()
        many.run(f"echo 33 >/proc/irq/{irq}/smp_affinity_list")

        def check():
            assert many.run("cat /sys/devices/system/cpu/online").out == "0-1,33,39\n"
            expect_alive(many, online)
            assert many.run(f"cat /proc/irq/{irq}/smp_affinity_list").out == "33\n"
            for cpu in (33, 39):
                many.run(f"echo {cpu} >/proc/irq/{irq}/smp_affinity_list")
                before = events(irq)[f"CPU{cpu}"]
                many.run(f"dd if={node} of=/dev/null bs=64k count=20 iflag=direct status=none")
                assert events(irq)[f"CPU{cpu}"] - before >= 10
            many.run(f"echo 33 >/proc/irq/{irq}/smp_affinity_list")

        many.checkpoint(IMAGE, timeout=600)
        host.run(f"rm {IMAGE}")
        check()
        many.save(IMAGE, timeout=600)
        many.restore(IMAGE, timeout=600)
        host.run(f"rm {IMAGE}")
        check()
        counted = suspends(many)
        assert [counted[name] for name in ("restored", "cancelled", "failed")] == ["1", "1", "0"]
        assert counted["cpus_rebuilt"] == str(len(online) - 1)
        many.unload_xpv()


# ---- Debuggers ----


# The emulated machine ends without a word when a guest sets a hardware
# breakpoint, with or without xpv; for a machine that has them, say so.
DEBUGGER_MODES = ["step", "break"] if os.environ.get("XPV_HARDWARE_BREAKPOINTS") else ["step"]


@pytest.mark.matrix
@pytest.mark.vcpus(2, more=(4,))
@pytest.mark.parametrize("mode", DEBUGGER_MODES)
def test_debugger(xpv, host, mode):
    """A process that is single-stepped, and one with a hardware breakpoint
    and a watchpoint, on a vCPU that is rebuilt: no event is lost or doubled."""
    cpu = xpv.vcpus - 1
    debugger = xpv.write_program("debugger", built.program("debugger"))
    # Without xpv: what this processor can do.
    alone = xpv.run(f"timeout 100 {debugger} {mode} {cpu} 200", check=False)
    assert alone.out == f"{mode} events 200 faults 0\n"

    def events():
        return int(xpv.run(f"od -A n -t u8 /tmp/debugger.{mode}").out)

    def goes_on():
        before = events()
        until(lambda: events() > before + 20, PATIENCE)

    xpv.load_xpv()
    xpv.wait_for_disk()
    xpv.run(f"cd /tmp; rm debugger.{mode}; setsid ./debugger {mode} {cpu} >debugger.out 2>&1 & "
            f"echo $! >/tmp/debugger.pid; {shell_until(f'[ -s /tmp/debugger.{mode} ]')}")
    try:
        goes_on()
        xpv.checkpoint(IMAGE)
        host.run(f"rm {IMAGE}")
        goes_on()
        xpv.migrate()
        goes_on()
    finally:
        xpv.run("kill -TERM $(cat /tmp/debugger.pid)", check=False)
    until(lambda: xpv.run("kill -0 $(cat /tmp/debugger.pid)", check=False).status != 0, PATIENCE)
    assert re.fullmatch(rf"{mode} events \d+ faults 0\n", xpv.run("cat /tmp/debugger.out").out)
    counted = suspends(xpv)
    assert [counted[name] for name in ("restored", "cancelled", "failed")] == ["1", "1", "0"]
    xpv.unload_xpv()
