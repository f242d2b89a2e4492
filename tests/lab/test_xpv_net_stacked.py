# SPDX-License-Identifier: GPL-2.0-only
"""What Linux puts on top of xpv's network interface: bridge, bond, macvlan, a capture, netconsole."""

import pytest

from xpvlab.nettest import DOM0, Net
from xpvlab.waiting import wait_until


@pytest.fixture
def net(guest, modules, host):
    one = guest(type="hvm", drivers="xpv", modules=modules, vcpus=2, memory=320, vifs=1)
    one.load_xpv()
    net = Net(one, host)
    yield net
    one.unload_xpv()


UPPER = {
    "bridge": "ip link add upper type bridge; ip link set {name} master upper",
    "bond": "modprobe bonding max_bonds=0; ip link add upper type bond mode active-backup miimon 100; "
            "ip link set {name} down; ip link set {name} master upper",
    "macvlan": "ip link add upper link {name} type macvlan mode bridge",
}


@pytest.mark.matrix
def test_upper_devices(net):
    """The address moves to the upper device, traffic goes through it, and
    ends with it: promiscuous mode, a second MAC, a slave's MAC."""
    guest = net.guest
    for kind, commands in UPPER.items():
        guest.run(f"ip addr flush dev {net.name}; {commands.format(name=net.name)}; ip link set {net.name} up; "
                  f"ip link set upper up; ip addr add {net.address}/16 dev upper", timeout=120)
        wait_until(guest, "[ $(cat /sys/class/net/upper/carrier) = 1 ]")
        # A bridge's port forwards only after a while.
        wait_until(guest, f"ping -c 1 -W 2 {DOM0}")
        net.ping(size=4000)
        net.exchange(chunks=8)
        guest.run("ip link del upper")
        assert kind == "macvlan" or "master" not in guest.run(f"ip link show {net.name}").out
    guest.run(f"ip addr flush dev {net.name}; ip addr add {net.address}/16 dev {net.name}; ip link set {net.name} up")
    net.ping()


@pytest.mark.matrix
def test_netconsole(net, host):
    """Lines of the guest's log arrive in dom0, those printed with irqs off too."""
    guest = net.guest
    log = "/run/lab/netconsole"
    listener = host.start(f"exec python3 -u -c \"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                          f"s.bind(('', 6666)); f = open('{log}', 'wb', 0)\nwhile True: f.write(s.recv(2000))\"")
    wait_until(host, "ss -lun | grep -q ':6666 '")
    mac = host.run("cat /sys/class/net/xenbr0/address").out.strip()
    guest.run(f"modprobe netconsole netconsole=6665@{net.address}/{net.name},6666@{DOM0}/{mac}")
    guest.run("echo 'xpv netconsole test' >/dev/kmsg")
    wait_until(host, f"grep -q 'xpv netconsole test' {log}")
    # SysRq's help is printed by its handler.
    guest.run("echo 8 >/proc/sys/kernel/printk; echo h >/proc/sysrq-trigger")
    wait_until(host, f"grep -q 'sysrq: HELP' {log}")
    guest.run("rmmod netconsole; echo 5 >/proc/sys/kernel/printk")
    listener.kill()
    net.ping()
