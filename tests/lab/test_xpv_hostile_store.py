# SPDX-License-Identifier: GPL-2.0-only
"""xpv on real Xen under a store that floods, stalls, is updated, and has
devices come and go in ways that no toolstack means."""

import os
import re
import time

import pytest

from xpvlab import LabError, xenstate
from xpvlab.storetool import StoreTool, vdev
from xpvlab.waiting import shell_until, until

NAME, NUMBER = vdev(5)          # xvdf; the guest has xvda
FLOOD = 10000
STOPPED_SECONDS = 60
MANY = [vdev(index) for index in range(1, 17)]
READ = "dd if={} of=/dev/null bs=64k count=16 iflag=direct status=none"
FREE_MEMORY = "sync; echo 3 >/proc/sys/vm/drop_caches; sleep 1; awk '/^(MemAvailable|Slab):/ {print $2}' /proc/meminfo"


def memory(guest):
    """MemAvailable and Slab in KiB, without what can be given back."""
    return [int(number) for number in guest.run(FREE_MEMORY).out.split()]


def present(guest, names):
    """Wait until the guest has these disks and udev has looked at them: what reads a disk that goes sees errors."""
    guest.run(f"for d in {' '.join(names)}; do {shell_until('[ -b /dev/$d ]', 120)}; done; udevadm settle --timeout=60",
              timeout=300)


def gone(guest, names):
    guest.run(f"for d in {' '.join(names)}; do {shell_until('[ ! -e /sys/block/$d ]', 120)}; done", timeout=300)


def has_device(guest, number):
    return guest.run(f"test -e /sys/bus/xpv/devices/vbd-{number}", check=False).status == 0


def no_other_guest_begins(host):
    """The next guest may be booting; xl does not wait long for a store that stands still."""
    until(lambda: all(one.domid is not None for one in host.guests if one.started), 300)


@pytest.fixture(scope="session")
def tool(host):
    return StoreTool(host)


@pytest.fixture
def loop(host):
    """A block device in dom0 for disks that are only read."""
    with host.loop_device("/var/hostile.img", "16M") as device:
        yield device


def plug_and_unplug(guest, tool, loop):
    """The bus hears of a device, and the disk works."""
    # After a flood dom0's own watches have as much to catch up with.
    tool.add(guest, [NUMBER], "--device", loop, wait=300)
    present(guest, [NAME])
    guest.run(READ.format(f"/dev/{NAME}"))
    assert tool.remove(guest, [NUMBER], wait=60) == []
    gone(guest, [NAME])


@pytest.mark.matrix
@pytest.mark.vcpus(2)
@pytest.mark.parametrize("where", ["frontend", "backend"])
def test_flood_of_watch_events(xpv, host, tool, loop, where):
    """Case 22. dom0 writes 10,000 times below nodes that the guest watches: one
    path, of which xenstored itself drops what is pending, or 200 paths. A
    driver that queues each event runs out of memory, and one that rescans for
    each does nothing else. Memory and requests in flight must stay bounded,
    disk and store work meanwhile, and a disk be attached afterwards."""
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    device = f"/local/domain/{xpv.domid}/device/vbd/51712"
    flood = {"backend": (f"/local/domain/0/backend/vbd/{xpv.domid}/51712/state", FLOOD, "--value", 4),
             "frontend": (f"{device}/flood", FLOOD, "--nodes", 200)}[where]
    until(lambda: xpv.counts("xenbus")["in_flight"] == 0)
    available, slab = memory(xpv)
    before = xpv.counts("xenbus")
    job = tool.start("flood", *flood)
    rounds = 0
    while rounds < 3 or job.running():
        xpv.run(READ.format(node), timeout=60)
        assert xpv.run("xenstore-read domid", timeout=60).out.strip() == str(xpv.domid)
        now = xpv.counts("xenbus")
        # The tool above may still be on its way out.
        assert now["watches"] == before["watches"] and now["in_flight"] <= 16
        meminfo = xpv.run("awk '/^(MemAvailable|Slab):/ {print $2}' /proc/meminfo").out.split()
        assert available - int(meminfo[0]) < 32768 and int(meminfo[1]) - slab < 16384
        rounds += 1
    result = job.wait()
    assert result.status == 0, result.err
    after = xpv.counts("xenbus")
    print(f"{FLOOD} writes in {result.out.strip()} s, {rounds} rounds meanwhile, "
          f"{after['watch_events'] - before['watch_events']} events")
    assert after["watch_events"] - before["watch_events"] >= 100
    assert after["losses"] == before["losses"] and after["timed_out"] == before["timed_out"]
    assert after["dropped"] == before["dropped"]
    host.run(f"xenstore-rm {device}/flood", check=False)
    available_now, slab_now = memory(xpv)
    assert available - available_now < 8192 and slab_now - slab < 4096
    plug_and_unplug(xpv, tool, loop)
    xpv.unload_xpv()


@pytest.mark.matrix
@pytest.mark.vcpus(2)
@pytest.mark.parametrize("delay", [0, 0.1, 0.4])
def test_xenstored_stopped_in_a_handshake(xpv, host, tool, loop, delay):
    """Case 32. xenstored stops for a minute at some moment between a device's
    appearance and its connection. A driver that waits under a lock stops the
    other disk, and one that gives up leaves the new one unconnected. The other
    disk must work meanwhile; then the new one must connect, with no request
    lost."""
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    no_other_guest_begins(host)
    add = tool.command("add", xpv.domid, NUMBER, "--device", loop)
    host.run(f"daemon=$(pidof xenstored) && {add} && sleep {delay} && kill -STOP $daemon")
    try:
        end = time.monotonic() + STOPPED_SECONDS
        while time.monotonic() < end:
            xpv.run(READ.format(node), timeout=60)
            time.sleep(5)
        print(xpv.run("cat /sys/kernel/debug/xpv/store").out)
    finally:
        host.run("kill -CONT $(pidof xenstored)")
    tool.wait(xpv, [NUMBER], 180)
    present(xpv, [NAME])
    xpv.run(READ.format(f"/dev/{NAME}"))
    xpv.run(READ.format(node))
    until(lambda: xpv.counts("xenbus")["in_flight"] == 0)
    assert xpv.counts("xenbus")["losses"] == 0
    assert tool.remove(xpv, [NUMBER], wait=60) == []
    gone(xpv, [NAME])
    xpv.unload_xpv()


@pytest.mark.vcpus(2)
def test_vanished_and_added_again(xpv, host, loop):
    """Case 27. All nodes of a device go without a handshake, and the same
    device comes again: when the guest is done, or at once. A driver that waits
    for the old backend never connects, and one that takes the new device for
    the old leaks its grants and ports. The new disk must work, and nothing be
    leaked."""
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    grants, ports = xpv.counts("gnttab"), len(xenstate.open_ports(host, xpv.domid))
    attach = f"xl block-attach {xpv.name} phy:{loop} {NAME} w"
    vanish = f"xenstore-rm /local/domain/{xpv.domid}/device/vbd/{NUMBER} && " \
             f"xenstore-rm /local/domain/0/backend/vbd/{xpv.domid}/{NUMBER} && " \
             f"xenstore-rm /libxl/{xpv.domid}/device/vbd/{NUMBER}"
    try:
        host.run(attach)
        for at_once in (False, True, True):
            present(xpv, [NAME])
            xpv.run(READ.format(f"/dev/{NAME}"))
            if at_once:
                host.run(f"{vanish} && {attach}")
            else:
                host.run(vanish)
                gone(xpv, [NAME])
                host.run(attach)
            # The new one, not what is left of the old one.
            until(lambda: host.run(f"xenstore-read /local/domain/{xpv.domid}/device/vbd/{NUMBER}/state",
                                   check=False).out.strip() == "4")
            until(lambda: xpv.run(READ.format(f"/dev/{NAME}"), check=False).status == 0)
    finally:
        host.run(f"xl block-detach {xpv.name} {NAME}", check=False)
    gone(xpv, [NAME])
    xpv.run(READ.format(node))
    after = xpv.counts("gnttab")
    assert (after["in pools"], after["parked"], after["lost"]) == (grants["in pools"], 0, 0)
    assert len(xenstate.open_ports(host, xpv.domid)) == ports
    xpv.unload_xpv()


@pytest.mark.matrix
@pytest.mark.vcpus(2)
@pytest.mark.parametrize("kind,index", [("nobody", 7), ("vbd", 6)])
def test_stuck_backend(xpv, host, tool, loop, kind, index):
    """Case 23. A backend never answers: xen-blkback without a device stays in
    InitWait, and where no driver serves, in Initialising for ever. A driver
    that waits for it holds up the other devices, a removal or an unload, and
    one that logs each look fills the log. All of these must go on, with three
    lines at most."""
    _, stuck = vdev(index)
    options = ["--type", kind]
    backend = f"/local/domain/0/backend/{kind}/{xpv.domid}/{stuck}"

    def complaints():
        return [line for line in xpv.run("dmesg").out.splitlines()
                if f"device/vbd/{stuck}: waiting for the backend in domain 0, its state is" in line]

    xpv.load_xpv()
    node = xpv.wait_for_disk()
    known = len(complaints())
    try:
        tool.add(xpv, [stuck], *options)
        until(lambda: len(complaints()) > known)
        assert ("InitWait" if kind == "vbd" else "Initialising") in complaints()[-1]
        xpv.run(READ.format(node))
        plug_and_unplug(xpv, tool, loop)
        time.sleep(30)
        assert len(complaints()) - known <= 3
        assert host.run(f"xenstore-read {backend}/state").out.strip() == ("2" if kind == "vbd" else "1")

        tool.remove(xpv, [stuck], *options)
        until(lambda: not has_device(xpv, stuck))

        # Nor does it hold up an unload.
        tool.add(xpv, [stuck], *options)
        until(lambda: has_device(xpv, stuck))
        started = time.monotonic()
        xpv.unload_xpv()
        print(f"unloaded after {time.monotonic() - started:.0f} s")
    finally:
        tool.remove(xpv, [stuck], *options, wait=1)
    xpv.load_xpv()
    xpv.run(READ.format(xpv.wait_for_disk()))
    xpv.unload_xpv()


STORE_WORK = """
n=0
while ! [ -e /tmp/stop ]; do
    n=$((n+1))
    xenstore-write data/work $n || exit 1
    [ "$(xenstore-read data/work)" = $n ] || exit 2
done
xenstore-rm data/work
echo $n
"""
DISK_WORK = "n=0; while ! [ -e /tmp/stop ]; do {} || exit 1; n=$((n+1)); done; echo $n"


@pytest.mark.matrix
@pytest.mark.vcpus(2)
def test_live_update(xpv, host, tool, loop):
    """Case 32. xenstored replaces itself three times while the guest uses store
    and disk. A client that takes the pause for a loss, or loses its place in
    the ring, fails its callers or reads garbage. Each request must get its
    reply, no watch be lost, and a disk be attached afterwards."""
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    until(lambda: xpv.counts("xenbus")["in_flight"] == 0)
    watches = xenstate.watches(host, xpv.domid)
    no_other_guest_begins(host)
    xpv.run("rm -f /tmp/stop")
    jobs = [xpv.start(STORE_WORK), xpv.start(DISK_WORK.format(READ.format(node)))]
    try:
        for _ in range(3):
            host.run("xenstore-control live-update -t 60 $(command -v xenstored)", timeout=180)
            # What the daemon that went tells the one that comes.
            assert "-U" in host.run(r"tr '\0' ' ' </proc/$(pidof xenstored)/cmdline").out.split()
            host.run("xenstore-ls /local/domain/0/backend")
            xpv.run("xenstore-read domid")
            time.sleep(5)
        assert all(job.running() for job in jobs)
    finally:
        xpv.run("touch /tmp/stop")
    for job in jobs:
        result = job.wait(120)
        assert result.status == 0 and int(result.out) > 0, (result.status, result.out, result.err)
    after = xpv.counts("xenbus")
    assert after["losses"] == after["timed_out"] == after["dropped"] == 0
    plug_and_unplug(xpv, tool, loop)
    until(lambda: xenstate.watches(host, xpv.domid) == watches)
    xpv.unload_xpv()


def taken(guest, host):
    """What each device takes, in the guest, in Xen and in xenstored."""
    grants, store = guest.counts("gnttab"), guest.counts("xenbus")
    paths = host.run("xenstore-ls -f | sed 's/ = .*//'").out.splitlines()
    return {"pools": grants["in pools"], "parked": grants["parked"], "lost": grants["lost"],
            "granted": len(xenstate.granted(host, guest.domid)),
            "ports": len(xenstate.open_ports(host, guest.domid)),
            "watches": store["watches"], "watches in xenstored": xenstate.watches(host, guest.domid),
            "irqs": int(guest.run("grep -c ' xvd' /proc/interrupts || true").out),
            "paths": {path for path in paths if re.search(rf"/{guest.domid}(/|$)", path)}}


def leaked(guest, host, before):
    """What has become more. Less is fine: the backend gives grants of other disks back when it does not use them."""
    now = taken(guest, host)
    more = {name: (before[name], now[name]) for name in now if name != "paths" and now[name] > before[name]}
    return {**more, **({"paths": now["paths"] - before["paths"]} if now["paths"] - before["paths"] else {})}


@pytest.mark.matrix
@pytest.mark.vcpus(2)
def test_sixteen_disks_come_and_go(xpv, host, tool, loop):
    """Sixteen disks at the same moment, in XPV_ATTACH_ROUNDS rounds; the first
    round one by one, by xl. A driver that keeps a grant, a port, a watch or a
    node of each device runs out of them. After the last round there must be no
    more of these than after the first."""
    rounds = int(os.environ.get("XPV_ATTACH_ROUNDS", "3"))
    names, numbers = zip(*MANY)
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    read = "; ".join(["set -e", *(f"dd if=/dev/{name} of=/dev/null bs=64k count=1 iflag=direct status=none"
                                  for name in names)])
    before = slab = None
    try:
        for number in range(rounds + 1):
            if number:
                print(f"round {number}: connected in {tool.add(xpv, numbers, '--device', loop, wait=300):.1f} s")
            else:
                for name in names:
                    host.run(f"xl block-attach {xpv.name} phy:{loop} {name} w")
            present(xpv, names)
            xpv.run(read, timeout=300)
            if number:
                assert tool.remove(xpv, numbers, wait=120) == []
            else:
                for name in names:
                    host.run(f"xl block-detach {xpv.name} {name}")
            gone(xpv, names)
            until(lambda: xpv.counts("xenbus")["in_flight"] == 0)
            if not number:          # what the first devices of all leave for later ones is no leak
                before, (_, slab) = taken(xpv, host), memory(xpv)
            elif number == rounds or number % 20 == 0:
                try:
                    until(lambda: not leaked(xpv, host, before))
                except LabError:
                    pytest.fail(f"after {number} rounds: {leaked(xpv, host, before)}")
    finally:
        if before is None:
            host.run("; ".join(f"xl block-detach {xpv.name} {name}" for name in names), check=False, timeout=900)
        else:
            tool.remove(xpv, numbers, wait=1)
    assert memory(xpv)[1] - slab < 8192
    xpv.run(READ.format(node))
    xpv.unload_xpv()
