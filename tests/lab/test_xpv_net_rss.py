# SPDX-License-Identifier: GPL-2.0-only
"""Receive side scaling by dom0's xen-netback, set up over the control ring (docs/network.md)."""

import re

import pytest

from xpvlab.nettest import DOM0, Net
from xpvlab.waiting import wait_until

QUEUES = 4
KEY = ":".join(f"{byte:02x}" for byte in range(1, 41))


@pytest.fixture
def rss_net(guest, modules, host):
    """A guest with as many vCPUs as queues, and as many in netback, which asks dom0's CPUs otherwise."""
    parameter = "/sys/module/xen_netback/parameters/max_queues"
    before = host.run(f"modprobe xen-netback; cat {parameter}").out.strip()
    host.run(f"""echo {QUEUES} >{parameter}
        mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug""")
    try:
        one = guest(type="hvm", drivers="xpv", modules=modules, vcpus=QUEUES, memory=320, vifs=1)
        one.load_xpv()
        net = Net(one, host)
        assert one.run(f"ethtool -l {net.name}").out.split()[-2:] == ["Combined:", str(QUEUES)]
        yield net
        one.unload_xpv()
    finally:
        host.run(f"echo {before} >{parameter}")


def wait_set(net, state="on"):
    """Wait until the backend has all settings."""
    wait_until(net.guest, f"grep -q ' {state}$' /sys/kernel/debug/xpv/netfront")


def table(net):
    """The queues and the key that ethtool -x shows."""
    text = net.guest.run(f"ethtool -x {net.name}").out
    rows = re.findall(r"^ *\d+: +((?:\d+ *)+)$", text, re.M)
    key = re.search(r"^((?:[0-9a-f]{2}:){39}[0-9a-f]{2})$", text, re.M)
    return [int(word) for row in rows for word in row.split()], key and key.group(1)


def netback(net):
    """The same as netback shows it."""
    text = net.host.run(f"cat /sys/kernel/debug/xen-netback/{net.vif}/ctrl").out
    assert "Hash Algorithm: TOEPLITZ" in text
    keys, _, mapping = text.partition("Hash Mapping:")
    rows = re.findall(r"^\[ *\d+ - +\d+\]: (.*)$", mapping, re.M)
    key = re.findall(r"^\[ *\d+ - +\d+\]: (.*)$", keys, re.M)
    return ([int(word) for row in rows for word in row.split()],
            ":".join(word for row in key for word in row.split()))


def received(net):
    text = net.guest.run(f"ethtool -S {net.name}").out
    return [int(re.search(rf"rx_queue_{queue}_packets: (\d+)", text).group(1)) for queue in range(QUEUES)]


def spread(net):
    """Packets that each queue receives while dom0 sends on 32 connections."""
    net.guest.run("iperf3 -s -D -1 >/dev/null 2>&1; true")
    wait_until(net.guest, "ss -ltn | grep -q ':5201 '")
    before = received(net)
    net.host.run(f"iperf3 -c {net.address} -P 32 -t 3 -b 1M >/dev/null", timeout=120)
    return [after - first for after, first in zip(received(net), before, strict=True)]


@pytest.mark.matrix
def test_rss(rss_net):
    """Key and table as ethtool sets them are netback's, packets follow them, and
    they outlive netback."""
    net = rss_net
    wait_set(net)
    even = [i % QUEUES for i in range(128)]
    queues, key = table(net)
    assert queues == even and key
    assert netback(net) == (even, key)
    assert min(spread(net)) > 0

    net.guest.run(f"ethtool -X {net.name} weight 0 0 1 0 hkey {KEY}")
    wait_set(net)
    assert table(net) == ([2] * 128, KEY)
    assert netback(net) == ([2] * 128, KEY)
    packets = spread(net)
    assert packets[2] > 0 and packets[0] == packets[1] == packets[3] == 0

    stream = net.stream()
    net.rebind_backend()
    stream.progress()
    assert stream.stop() > 0
    wait_set(net)
    assert table(net) == ([2] * 128, KEY)
    assert netback(net) == ([2] * 128, KEY)
    packets = spread(net)
    assert packets[2] > 0 and packets[0] == packets[1] == packets[3] == 0

    net.guest.run(f"ethtool -X {net.name} default")
    wait_set(net)
    assert table(net) == (even, KEY)
    assert min(spread(net)) > 0
    net.ping()
    assert net.counters() == [0, 0, 0, 0]


@pytest.mark.matrix
def test_rss_follows_the_queues(rss_net):
    """ethtool -L takes a table along that spreads evenly, and refuses to take queues from another."""
    net = rss_net
    wait_set(net)
    net.guest.run(f"ethtool -X {net.name} weight 0 0 0 1")
    assert net.guest.run(f"ethtool -L {net.name} combined 2", check=False).status != 0
    net.guest.run(f"ethtool -X {net.name} default; ethtool -L {net.name} combined 2")
    wait_until(net.guest, f"ethtool -l {net.name} | tail -1 | grep -q '[[:space:]]2$'")
    wait_until(net.guest, f"[ $(cat /sys/class/net/{net.name}/carrier) = 1 ]")
    wait_set(net)
    assert table(net)[0] == netback(net)[0] == [i % 2 for i in range(128)]
    net.guest.run(f"ethtool -L {net.name} combined 1")
    wait_set(net, "off")
    wait_until(net.guest, f"[ $(cat /sys/class/net/{net.name}/carrier) = 1 ]")
    net.exchange(chunks=4)


@pytest.mark.matrix
def test_rss_flows(rss_net):
    """What is hashed; and the hash that comes with each packet, or not."""
    net = rss_net
    wait_set(net)
    shown = net.guest.run(f"ethtool -n {net.name} rx-flow-hash tcp4").out
    assert "IP SA" in shown and "L4 bytes 0" in shown
    assert "L4 bytes" not in net.guest.run(f"ethtool -n {net.name} rx-flow-hash udp4").out
    net.guest.run(f"ethtool -N {net.name} rx-flow-hash tcp4 sd")
    wait_set(net)
    assert "L4 bytes" not in net.guest.run(f"ethtool -n {net.name} rx-flow-hash tcp4").out
    # All have the same addresses.
    assert len([packets for packets in spread(net) if packets > 100]) == 1
    net.guest.run(f"ethtool -N {net.name} rx-flow-hash tcp4 sdfn")
    for state in ("off", "on"):
        net.guest.run(f"ethtool -K {net.name} rxhash {state}")
        net.exchange(chunks=4)
    assert net.counters() == [0, 0, 0, 0]


@pytest.mark.matrix
def test_rss_is_not_used(guest, modules, host):
    """receive_hash=0 leaves the choice to netback."""
    one = guest(type="hvm", drivers="xpv", modules=modules, vcpus=2, memory=320, vifs=1)
    one.load_xpv(netfront="receive_hash=0")
    net = Net(one, host)
    assert one.run(f"ethtool -x {net.name}", check=False).status != 0
    assert host.run(f"xenstore-exists /local/domain/{one.domid}/device/vif/0/ctrl-ring-ref", check=False).status != 0
    one.run(f"ping -c 3 -i 0.2 {DOM0}")
    net.exchange(chunks=4)
    one.unload_xpv()
