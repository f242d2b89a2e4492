# SPDX-License-Identifier: GPL-2.0-only
"""Guests of every type whose kernel owns Xen: the lab itself is in order, and
xpv leaves such a kernel alone."""

import hashlib

import pytest

from xpvlab import disktest


@pytest.mark.matrix
def test_disk_network_and_channel(intree, host):
    assert disktest.run(intree, host, size=32).equal

    intree.net_up()
    intree.run("ping -c 3 -W 10 10.77.0.1")

    result = intree.run("echo out; echo err >&2; exit 7", check=False)
    assert (result.status, result.out, result.err) == (7, "out\n", "err\n")
    intree.write_file("/tmp/blob", bytes(range(256)) * 500)
    assert intree.run("sha256sum </tmp/blob").out.split()[0] \
        == hashlib.sha256(bytes(range(256)) * 500).hexdigest()
    slow = intree.start("sleep 5; echo late")
    assert intree.run("echo early").out == "early\n"
    assert slow.wait().out == "late\n"


def test_xpv_refuses(intree):
    """One clear line, ENODEV, nothing touched."""
    node = intree.wait_for_disk()
    before = intree.run("cat /proc/interrupts | awk '{print $NF}'; cat /proc/iomem").out
    result = intree.run("insmod /lab/payload/modules/xpv_lib.ko; "
                        "insmod /lab/payload/modules/xpv_hypervisor.ko", check=False)
    assert result.status == 1 and "No such device" in result.err
    lines = [l for l in intree.run("dmesg").out.splitlines() if "xpv_hypervisor: " in l]
    assert len(lines) == 1 and "own Xen support is active" in lines[0]
    intree.run("rmmod xpv_lib")
    assert intree.run("cat /proc/interrupts | awk '{print $NF}'; cat /proc/iomem").out == before
    intree.run(f"dd if={node} of=/dev/null bs=1M count=8 iflag=direct status=none")
