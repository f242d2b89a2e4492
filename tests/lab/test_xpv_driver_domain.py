# SPDX-License-Identifier: GPL-2.0-only
"""Backends that go and come back while the guest's disk is in use: the disk
stays, stands still meanwhile, and goes on with nothing lost or doubled."""

from contextlib import contextmanager

import pytest

from xpvlab.diskload import DiskLoad
from xpvlab.driverdomain import DriverDomain
from xpvlab.storetool import vdev
from xpvlab.waiting import until, wait_until

NAME, NUMBER = vdev(6)          # xvdg: unlike xvdf's, an error of its I/O fails the run
NODE = f"/dev/{NAME}"
BACKEND_DRIVER = "/sys/bus/xen-backend/drivers/vbd"


@pytest.fixture
def loop(host):
    """A block device in dom0."""
    with host.loop_device("/var/driver-domain.img", "48M") as device:
        yield device


def identity(guest, node):
    """What changes when the disk is another one."""
    return guest.run(f"stat -c %t:%T {node}; cat /sys/block/{node.rsplit('/', 1)[-1]}/diskseq").out


@contextmanager
def detached_at_the_end(domain, guest):
    """The disk goes at the end, whatever happens; without an error, its backend closes and its node vanishes."""
    try:
        yield
    finally:
        closed = domain.detach(guest, NUMBER)
    assert closed
    wait_until(guest, f"[ ! -e {NODE} ]")


@pytest.mark.vcpus(2, more=(1, 4))
def test_backend_is_bound_again(xpv, host):
    """xen-blkback in dom0 loses the device and gets it back, with requests in flight."""
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    disk = identity(xpv, node)
    device = f"vbd-{xpv.domid}-51712"
    with DiskLoad(xpv, node, xpv.disks[0].backend) as load:
        for pause in (0, 0, 3):
            load.progress()
            host.run(f"echo {device} >{BACKEND_DRIVER}/unbind; sleep {pause}; echo {device} >{BACKEND_DRIVER}/bind")
            load.progress()
        assert identity(xpv, node) == disk
        load.end()
    until(lambda: xpv.counts("gnttab")["parked"] == 0)
    assert xpv.counts("gnttab")["lost"] == 0
    xpv.unload_xpv()


@pytest.mark.matrix
@pytest.mark.vcpus(2)
def test_driver_domain_loads_blkback_again(xpv, host, loop):
    """Unloaded and loaded, at once and after a while."""
    xpv.load_xpv()
    with DriverDomain(host, loop) as domain, detached_at_the_end(domain, xpv):
        domain.attach(xpv, NUMBER)
        wait_until(xpv, f"[ -b {NODE} ]")
        disk = identity(xpv, NODE)
        with DiskLoad(xpv, NODE, loop) as load:
            for pause in (0, 5):
                load.progress()
                domain.unload()
                host.run(f"sleep {pause}")
                domain.load()
                load.progress()
            assert identity(xpv, NODE) == disk
            load.end()
    xpv.unload_xpv()


@pytest.mark.matrix
@pytest.mark.vcpus(2, more=(4,))
def test_driver_domain_is_made_again(xpv, host, loop):
    """Destroyed, and there again as another domain with the same disk: the
    disk goes on there."""
    xpv.load_xpv()
    first = DriverDomain(host, loop)
    with first:
        first.attach(xpv, NUMBER)
        wait_until(xpv, f"[ -b {NODE} ]")
        disk = identity(xpv, NODE)
        load = DiskLoad(xpv, NODE, loop)
        with load:
            load.progress()
            first.destroy()
    with load, DriverDomain(host, loop) as second, detached_at_the_end(second, xpv):
        assert second.guest.domid != first.guest.domid
        second.take_over(xpv, NUMBER)
        load.progress()
        assert identity(xpv, NODE) == disk
        load.end()
    counts = xpv.counts("gnttab")
    assert counts["parked"] == counts["lost"] == 0
    xpv.unload_xpv()
