# SPDX-License-Identifier: GPL-2.0-only
"""xpv's network interface in a stock guest on real Xen, with dom0's xen-netback on a bridge."""

from pathlib import Path

import pytest

from xpvlab import xenstate
from xpvlab.nettest import DOM0, Net
from xpvlab.underload import IMAGE
from xpvlab.waiting import wait_until

RULES = Path(__file__).resolve().parents[2] / "netfront" / "79-xpv-net.rules"


@pytest.fixture
def net_guest(guest, modules):
    """A guest with xpv and one interface, for one test."""
    one = guest(type="hvm", drivers="xpv", modules=modules, vcpus=2, memory=320, vifs=1)
    one.load_xpv()
    return one


def test_traffic(net_guest, host):
    """Small and large packets, checked content both ways, each offload on and
    off, jumbo frames; then unloaded, and loaded again, with nothing left over."""
    ports = xenstate.open_ports(host, net_guest.domid)
    net = Net(net_guest, host)
    net.ping()
    net.ping(size=1, count=2)
    net.ping(size=1472, options="-M do")
    net.ping(size=20000)
    net.exchange()

    driver = net_guest.run(f"ethtool -i {net.name}").out
    assert "driver: xpv_netfront" in driver
    for feature in ("tso", "gso", "sg", "tx", "gro"):
        net_guest.run(f"ethtool -K {net.name} {feature} off")
        net.exchange(chunks=4)
        net_guest.run(f"ethtool -K {net.name} {feature} on")
    net_guest.run(f"ethtool -K {net.name} sg on tso on")
    net.exchange(chunks=4)

    for mtu in (9000, 65517):
        net_guest.run(f"ip link set {net.name} mtu {mtu}")
        host.run(f"ip link set {net.vif} mtu {mtu}; ip link set xenbr0 mtu {mtu}")
        net.ping(size=mtu - 28, options="-M do")
        net.exchange(chunks=8)
    host.run("ip link set xenbr0 mtu 1500")
    net_guest.run(f"ip link set {net.name} mtu 1500")
    assert net.counters() == [0, 0, 0, 0]

    interrupts = net_guest.run("grep vif0 /proc/interrupts").out
    assert "vif0-q0-tx" in interrupts and "vif0-q0-rx" in interrupts
    net_guest.unload_xpv()
    assert net.name not in net_guest.run("ls /sys/class/net").out.split()
    assert xenstate.open_ports(host, net_guest.domid) <= ports
    net_guest.load_xpv()
    Net(net_guest, host).ping()
    counts = net_guest.counts("gnttab")
    assert (counts["parked"], counts["lost"]) == (0, 0)
    net_guest.unload_xpv()


@pytest.mark.matrix
def test_down_and_up(net_guest, host):
    net = Net(net_guest, host)
    for _ in range(5):
        net_guest.run(f"ip link set {net.name} down; ip link set {net.name} up")
        net.ping(count=2)
    net.exchange(chunks=4)
    net_guest.unload_xpv()


@pytest.mark.matrix
def test_attach_and_detach_under_traffic(net_guest, host):
    """A second interface comes and goes, busy; the first one never notices."""
    net = Net(net_guest, host)
    stream = net.stream()
    before = net_guest.counts("gnttab")
    mac = "00:16:3e:77:77:77"
    for _ in range(3):
        host.run(f"xl network-attach {net_guest.name} bridge=xenbr0 mac={mac} type=vif", timeout=60)
        wait_until(net_guest, f"grep -q {mac} /sys/class/net/*/address")
        name = net_guest.run(f"basename $(dirname $(grep -l {mac} /sys/class/net/*/address))").out.strip()
        net_guest.run(f"ip addr add 10.77.250.1/32 dev {name}; ip link set {name} up")
        wait_until(net_guest, f"[ $(cat /sys/class/net/{name}/carrier) = 1 ]")
        pings = net_guest.start(f"ping -f -I {name} -w 30 {DOM0} >/dev/null 2>&1; true")
        wait_until(net_guest, f"[ $(cat /sys/class/net/{name}/statistics/tx_packets) -gt 20 ]")
        device = host.run(f"xl network-list {net_guest.name} | awk '/{mac}/ {{print $1}}'").out.strip()
        host.run(f"xl network-detach {net_guest.name} {device}", timeout=60)
        wait_until(net_guest, f"[ ! -e /sys/class/net/{name} ]")
        pings.kill()
    stream.progress()
    assert stream.stop() > 0
    after = net_guest.counts("gnttab")
    assert (after["in pools"], after["parked"], after["lost"]) == (before["in pools"], 0, 0)
    net_guest.unload_xpv()


@pytest.mark.matrix
def test_stream_survives_suspends(net_guest, host):
    """A TCP connection with checked content through a checkpoint, a save and
    restore, and a migration."""
    net = Net(net_guest, host)
    stream = net.stream()
    net_guest.checkpoint(IMAGE)
    stream.progress()
    net_guest.save(IMAGE)
    net_guest.restore(IMAGE)
    host.run(f"rm {IMAGE}")
    stream.progress()
    net_guest.migrate()
    stream.progress()
    assert stream.stop() > 0
    net.ping()
    counts = net_guest.counts("gnttab")
    assert (counts["parked"], counts["lost"]) == (0, 0)
    net_guest.unload_xpv()


@pytest.mark.newest_kernel
def test_backend_unbound_and_bound(net_guest, host):
    """netback goes away and comes back under a stream: the interface stays."""
    net = Net(net_guest, host)
    stream = net.stream()
    net.rebind_backend()
    stream.progress()
    assert stream.stop() > 0
    net_guest.unload_xpv()


@pytest.mark.matrix
def test_backend_that_is_not_trusted(guest, modules, host):
    """Data goes to the backend in pages of its own only."""
    one = guest(type="hvm", drivers="xpv", modules=modules, vcpus=2, memory=320, vifs=1)
    one.load_xpv(netfront="trusted=0")
    net = Net(one, host)
    assert "not trusted" in one.run("dmesg").out
    net.ping(size=20000)
    net.exchange()
    one.unload_xpv()


@pytest.mark.matrix
def test_name_by_udev(net_guest, host):
    """systemd's udevd gives the name that an interface of the kernel's own netfront has."""
    net_guest.write_file(f"/etc/udev/rules.d/{RULES.name}", RULES.read_text())
    net_guest.run("udevadm control --reload")
    for _ in range(2):
        # The first module that is loaded may have been too early for the rule.
        net_guest.unload_xpv()
        net_guest.load_xpv()
        wait_until(net_guest, "[ -e /sys/class/net/enX0 ]")
        net_guest.run("udevadm settle")
        assert "ID_NET_NAME_SLOT=enX0" in net_guest.run("udevadm info /sys/class/net/enX0").out
        net = Net(net_guest, host)
        assert net.name == "enX0"
        net.ping()
    assert "vif" in net_guest.run("cat /sys/class/net/enX0/device/devtype").out
    net_guest.unload_xpv()
