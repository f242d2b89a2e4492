# SPDX-License-Identifier: GPL-2.0-only
"""A domain migrated live between two machines, each with a Xen of its own."""

import pytest

from xpvlab import Disk, pair, xenstate
from xpvlab.pair import Pair
from xpvlab.underload import Load, expect_alive, suspends


@pytest.mark.matrix
@pytest.mark.parametrize("vcpus", [1, 2, 3, 4, 8])
def test_there_and_back_under_load(kernel, modules, vcpus):
    """The new Xen has another idea of time, and of everything: what the guest
    was given there is new, what it had acknowledged is on the disk."""
    with Pair() as (one, other), \
            one.guest(type="hvm", drivers="xpv", kernel=kernel, modules=modules, vcpus=vcpus, memory=320,
                      disks=[Disk(64 << 20, backend=pair.DISK)]) as guest:
        guest.load_xpv()
        node = guest.wait_for_disk()
        clock = float(guest.run("cut -d' ' -f1 /proc/uptime").out)
        with Load(guest, node) as load:
            load.progress()
            for number, host in enumerate((other, one), 1):
                guest.migrate_to(host)
                expect_alive(guest)
                load.progress()
                counted = suspends(guest)
                assert (counted["restored"], counted["failed"]) == (str(number), "0")
                assert int(counted["cpus_rebuilt"]) == vcpus - 1
                now = float(guest.run("cut -d' ' -f1 /proc/uptime").out)
                assert now > clock
                clock = now
            print("longest standstill by CPU, and when:", load.end())
        counts = guest.counts("gnttab")
        assert counts["parked"] == counts["lost"] == 0
        guest.unload_xpv()
        assert xenstate.granted(one, guest.domid) <= {0, 1}     # the toolstack's own: console and store
