# SPDX-License-Identifier: GPL-2.0-only
"""Kinds of packets through xpv's network interface: families, tags, sizes, and an emulated twin."""

import pytest

from xpvlab.nettest import Net

# Around the ring's page, its copy limits and the MTU, and the largest datagram.
SIZES = [1, 2, 17, 18, 127, 128, 129, 213, 214, 215, 255, 256, 257, 1471, 1472, 1473, 2047, 4053, 4054, 4055,
         4095, 4096, 4097, 8191, 9000, 20000, 40000, 65000, 65507]


@pytest.fixture
def net_guest(guest, modules):
    one = guest(type="hvm", drivers="xpv", modules=modules, vcpus=2, memory=320, vifs=1)
    one.load_xpv()
    return one


@pytest.mark.matrix
def test_families_tags_and_sizes(net_guest, host):
    """IPv4 and IPv6, with and without a VLAN tag, datagrams of every odd size
    and a stream each: what comes back is what was sent."""
    net = Net(net_guest, host)
    net_guest.run("modprobe 8021q")
    host.run("modprobe 8021q; ip link add link xenbr0 name xenbr0.7 type vlan id 7")
    try:
        net_guest.run(f"ip link add link {net.name} name tagged type vlan id 7; ip link set tagged up")
        host.run("ip link set xenbr0.7 up")
        for number, (here, there) in enumerate(((net.name, "xenbr0"), ("tagged", "xenbr0.7"))):
            ipv6, ipv4 = f"fd77:{number}::", f"10.{78 + number}.0."
            net_guest.run(f"ip addr add {ipv6}2/64 dev {here} nodad; ip addr add {ipv4}2/24 dev {here}")
            host.run(f"ip addr add {ipv6}1/64 dev {there} nodad; ip addr add {ipv4}1/24 dev {there}")
            for address in (f"{ipv4}1", f"{ipv6}1"):
                net.echo(address, SIZES)
                net.exchange(chunks=8, address=address)
    finally:
        host.run("ip link del xenbr0.7; ip addr del fd77:0::1/64 dev xenbr0; ip addr del 10.78.0.1/24 dev xenbr0")
    assert net.counters() == [0, 0, 0, 0]
    net_guest.unload_xpv()


@pytest.mark.matrix
def test_emulated_nic_is_unplugged(guest, modules, host):
    """A vif with an emulated NIC beside it, which Linux uses: unplug=nics
    removes that one, and it stays away after a restore."""
    one = guest(type="hvm", drivers="xpv", modules=modules, vcpus=2, memory=320, vifs=1, emulated_nics=True)
    ethernet = "grep -l ^0x0200 /sys/bus/pci/devices/*/class | wc -l"
    one.run("modprobe 8139cp; udevadm settle")
    assert one.run(ethernet).out.strip() == "1"
    assert one.run(f"grep -l {one.mac()} /sys/class/net/*/address | wc -l").out.strip() == "1"
    one.load_xpv(hypervisor="unplug=nics")
    assert one.run(ethernet).out.strip() == "0"
    net = Net(one, host)
    assert "xpv_netfront" in one.run(f"ethtool -i {net.name}").out
    net.exchange(chunks=8)
    image = "/var/net.save"
    one.save(image)
    one.restore(image)
    host.run(f"rm {image}")
    one.run("echo 1 >/sys/bus/pci/rescan")
    assert one.run(ethernet).out.strip() == "0"
    net.exchange(chunks=8)
    one.unload_xpv()
