# SPDX-License-Identifier: GPL-2.0-only
"""The domain saved, restored, checkpointed and migrated by xl, under load."""

import pytest

from xpvlab import xenstate
from xpvlab.underload import IMAGE, Load, expect_alive, suspends


@pytest.mark.vcpus(2, more=(1, 3, 4))
def test_checkpoint_save_and_migrate_under_load(xpv, host):
    """The same guest through each way of suspending, and at last unloaded
    with nothing left behind."""
    granted = xenstate.granted(host, xpv.domid)
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    with Load(xpv, node) as load:
        load.progress()

        xpv.checkpoint(IMAGE)
        host.run(f"rm {IMAGE}")
        expect_alive(xpv)
        load.progress()
        assert suspends(xpv)["cancelled"] == "1"

        xpv.save(IMAGE)
        xpv.restore(IMAGE)
        host.run(f"rm {IMAGE}")
        expect_alive(xpv)
        load.progress()
        counted = suspends(xpv)
        assert (counted["restored"], counted["failed"]) == ("1", "0")
        assert int(counted["cpus_rebuilt"]) == xpv.vcpus - 1

        xpv.migrate()
        expect_alive(xpv)
        load.progress()
        assert suspends(xpv)["restored"] == "2"
        assert xpv.run("cat /sys/kernel/xpv/suspend/count").out == "3\n"

        print("longest standstill by CPU, and when:", load.end())
    counts = xpv.counts("gnttab")
    assert counts["parked"] == counts["lost"] == 0
    xpv.unload_xpv()
    assert xenstate.granted(host, xpv.domid) == granted
    xpv.load_xpv()
    xpv.wait_for_disk()
    xpv.unload_xpv()


@pytest.mark.matrix
@pytest.mark.vcpus(2)
def test_vcpus_that_spin(xpv, host):
    """The other barrier: Xen saves the vCPUs where they wait."""
    xpv.load_xpv(suspend="barrier=spin")
    node = xpv.wait_for_disk()
    xpv.save(IMAGE)
    xpv.restore(IMAGE)
    host.run(f"rm {IMAGE}")
    expect_alive(xpv)
    counted = suspends(xpv)
    assert (counted["restored"], counted["cpus_rebuilt"]) == ("1", "0")
    xpv.run(f"dd if={node} of=/dev/null bs=64k count=20 iflag=direct status=none")
    xpv.unload_xpv()


@pytest.mark.matrix
@pytest.mark.vcpus(4)
def test_a_cpu_that_is_offline_stays_so(xpv, host):
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    xpv.run("echo 0 >/sys/devices/system/cpu/cpu2/online")
    xpv.save(IMAGE)
    xpv.restore(IMAGE)
    host.run(f"rm {IMAGE}")
    online = xpv.run("getconf _NPROCESSORS_ONLN; cat /sys/devices/system/cpu/cpu2/online").out.split()
    assert online == [str(xpv.vcpus - 1), "0"]
    xpv.run("echo 1 >/sys/devices/system/cpu/cpu2/online")
    expect_alive(xpv)
    xpv.run(f"dd if={node} of=/dev/null bs=64k count=20 iflag=direct status=none")
    xpv.unload_xpv()
