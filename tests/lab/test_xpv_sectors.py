# SPDX-License-Identifier: GPL-2.0-only
"""A guest restored to a backend with other sectors, under load."""

import pytest

from xpvlab import Disk
from xpvlab.diskload import DiskLoad
from xpvlab.storetool import vdev
from xpvlab.underload import IMAGE, expect_alive
from xpvlab.waiting import until, wait_until

NAME, NUMBER = vdev(6)          # xvdg: unlike xvdf's, an error of its I/O fails the run
NODE = f"/dev/{NAME}"
FILE = "/var/sectors.img"


@pytest.fixture
def loops(host):
    """Two block devices in dom0 with the same data, by the size of their sectors."""
    host.run(f"truncate -s 32M {FILE}")
    devices = {size: host.run(f"losetup --sector-size {size} -f --show {FILE}").out.strip() for size in (512, 4096)}
    yield devices
    host.run(f"losetup -d {' '.join(devices.values())}; rm -f {FILE}", check=False)


@pytest.fixture
def disk(xpv, host):
    """A disk that is the guest's from now on, and of the configurations that it is restored with."""
    added = Disk(32 << 20, vdev=NAME)

    def attach(device):
        added.backend = device
        xpv.load_xpv()
        host.run(f"xl block-attach {xpv.name} phy:{device} {NAME} w")
        xpv.disks.append(added)
        wait_until(xpv, f"[ -b {NODE} ]")
        return added

    yield attach
    if added in xpv.disks:
        xpv.disks.remove(added)
        host.run(f"xl block-detach {xpv.name} {NAME}", check=False)


def sector_size(guest):
    return int(guest.run(f"cat /sys/block/{NAME}/queue/logical_block_size").out)


def move(guest, host, disk, device):
    """To a backend with this device."""
    guest.save(IMAGE)
    disk.backend = device
    guest.restore(IMAGE)
    host.run(f"rm {IMAGE}")
    expect_alive(guest)


def complaints(guest):
    """What is said of the disk that it cannot go on with."""
    return [line for line in guest.run("dmesg").out.splitlines()
            if NAME in line and "backend's sector size 4096 is larger" in line]


@pytest.mark.matrix
@pytest.mark.vcpus(2)
def test_smaller_sectors(xpv, host, loops, disk):
    """The disk goes on as it is, and back again."""
    added = disk(loops[4096])
    assert sector_size(xpv) == 4096
    with DiskLoad(xpv, NODE, loops[512]) as load:
        for size in (512, 4096):
            load.progress()
            move(xpv, host, added, loops[size])
            load.progress()
            assert sector_size(xpv) == 4096
        load.end()
    assert complaints(xpv) == []
    xpv.unload_xpv()


@pytest.mark.matrix
@pytest.mark.vcpus(2)
def test_larger_sectors(xpv, host, loops, disk):
    """Case 24, after a restore. The new backend's sectors are larger than the
    disk's blocks. A driver that goes on sends requests that the backend cannot
    execute, or rounds them and overwrites other data. The disk must stand
    still, which is said once, and go on when the guest is back where its
    sectors are."""
    added = disk(loops[512])
    assert sector_size(xpv) == 512
    with DiskLoad(xpv, NODE, loops[512]) as load:
        load.progress()
        move(xpv, host, added, loops[4096])
        until(lambda: complaints(xpv), 120)
        stopped = load.records()
        # The other disk is not concerned.
        xpv.run("dd if=/dev/xvda of=/dev/null bs=1M count=8 iflag=direct status=none")
        assert len(complaints(xpv)) == 1 and load.records() <= stopped + 1
        assert sector_size(xpv) == 512
        move(xpv, host, added, loops[512])
        load.progress()
        load.end()
    xpv.unload_xpv()
