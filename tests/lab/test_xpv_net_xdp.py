# SPDX-License-Identifier: GPL-2.0-only
"""XDP programs on xpv's network interface, with dom0's xen-netback (docs/network.md).

The program (inside/xdp_echo.bpf.c) answers datagrams from dom0 to port 7, where
nothing in the guest listens. TCP passes by it.
"""

import re
import subprocess

import pytest

from xpvlab import initrd
from xpvlab.nettest import Net
from xpvlab.underload import IMAGE
from xpvlab.waiting import until, wait_until

pytestmark = pytest.mark.matrix

ECHO_PORT = 7
SIZES = (1, 18, 100, 213, 214, 215, 300, 1000, 1472)
# What each way to send counts, and whether the datagram comes back.
SENDS = {
    "BACK": ("tx", True),
    "REDIRECTED": ("redirect", True),
    "NOTHING": ("drop", False),
    "ABORTED": ("error", False),
}
# Datagrams for 4 seconds, as fast as dom0 can.
BLAST = """
import socket, sys, time
blast = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.time() + 4
while time.time() < end:
    blast.sendto(b"x" * 900, (sys.argv[1], int(sys.argv[2])))
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The BPF objects, by their way to send."""
    built = {}
    for send in SENDS:
        path = tmp_path_factory.mktemp("xdp") / f"{send}.o"
        # -g: xdp-tools chain only programs with type information.
        subprocess.run(["clang", "-O2", "-g", "-target", "bpf", f"-DSEND=SEND_{send}", "-c",
                        str(initrd.INSIDE / "xdp_echo.bpf.c"), "-o", str(path)], check=True)
        built[send] = path.read_bytes()
    return built


class Xdp(Net):
    def __init__(self, guest, host, programs):
        super().__init__(guest, host)
        for send, program in programs.items():
            guest.write_file(f"/tmp/xdp_{send}.o", program)

    def published(self, key):
        directory = f"/local/domain/{self.guest.domid}/device/vif/{self.number}"
        return self.host.run(f"xenstore-read {directory}/{key}").out.strip()

    def attach(self, send, check=True):
        return self.guest.run(f"ip -force link set {self.name} xdpdrv obj /tmp/xdp_{send}.o sec xdp", check=check)

    def detach(self):
        self.guest.run(f"ip link set {self.name} xdpdrv off")

    def settle(self, attached):
        """Wait for the connection in which the backend knows whether there is a program."""
        until(lambda: self.published("feature-gso-tcpv4") == str(int(not attached)), 60)
        assert self.published("feature-no-csum-offload") == str(int(attached))
        self.up()

    def up(self):
        wait_until(self.guest, f"[ $(cat /sys/class/net/{self.name}/carrier) = 1 ]")
        self.host.run(f"until ping -c 1 -W 1 {self.address} >/dev/null; do sleep 0.2; done", timeout=60)

    def count(self, counter):
        text = self.guest.run(f"ethtool -S {self.name}").out
        return sum(int(number) for number in re.findall(rf"queue_\d+_xdp_{counter}: (\d+)", text))

    def ask(self, sizes=SIZES):
        """Dom0 gets each datagram back from the program."""
        self.host.run(f"python3 /run/lab/netecho.py ask {self.address} {ECHO_PORT} {' '.join(map(str, sizes))}",
                      timeout=120)

    def send_some(self, number=20):
        """Datagrams that no one answers."""
        self.host.run(f"for i in $(seq {number}); do echo some >/dev/udp/{self.address}/{ECHO_PORT}; done")

    def expect(self, send):
        """The program does what it says, and counts it."""
        counter, answers = SENDS[send]
        before = self.count(counter)
        if answers:
            self.ask()
            assert self.count(counter) >= before + len(SIZES)
        else:
            self.send_some()
            until(lambda: self.count(counter) >= before + 20, 30)

    def clean(self):
        counts = self.guest.counts("gnttab")
        assert (counts["parked"], counts["lost"]) == (0, 0)


@pytest.fixture
def net(guest, modules, host, programs):
    one = guest(type="hvm", drivers="xpv", modules=modules, vcpus=2, memory=320, vifs=1)
    one.load_xpv()
    yield Xdp(one, host, programs)


def test_xdp(net):
    """Programs of all verdicts, exchanged and detached while a stream passes."""
    stream = net.stream()
    assert (net.published("xdp-headroom"), net.published("feature-gso-tcpv4")) == ("0", "1")
    net.attach("BACK")
    net.settle(True)
    for _ in range(2):
        for send in SENDS:
            net.attach(send)
            net.expect(send)
            stream.progress()
    frames = net.count("frames")
    assert frames >= net.count("tx")
    # Quickly, in the midst of it.
    for i in range(60):
        net.attach(("BACK", "REDIRECTED")[i % 2])
    net.ask()
    stream.progress()
    net.detach()
    net.settle(False)
    stream.progress()
    assert stream.stop() > 0
    net.exchange()
    # All of it again and again: each time two connections.
    for _ in range(3):
        net.attach("BACK")
        net.detach()
    net.settle(False)
    net.exchange()
    net.clean()
    net.guest.unload_xpv()


def test_xdp_mtu(net):
    """A program needs packets of one page; the interface goes with its program."""
    net.guest.run(f"ip link set {net.name} mtu 9000")
    refused = net.attach("BACK", check=False)
    assert refused.status and "MTU too large" in refused.err + refused.out
    net.guest.run(f"ip link set {net.name} mtu 3502")
    net.attach("BACK")
    net.settle(True)
    assert net.guest.run(f"ip link set {net.name} mtu 3503", check=False).status
    net.host.run(f"ip link set {net.vif} mtu 3502; ip link set xenbr0 mtu 3502")
    net.ask([3474, 2000])
    net.host.run("ip link set xenbr0 mtu 1500")
    net.guest.unload_xpv()


def test_xdp_survives_connections(net):
    """A checkpoint, a save and restore, a migration, another netback: the program stays."""
    net.attach("BACK")
    net.settle(True)
    guest, stream = net.guest, net.stream()
    guest.checkpoint(IMAGE)
    net.ask()
    guest.save(IMAGE)
    guest.restore(IMAGE)
    net.host.run(f"rm {IMAGE}")
    net.up()
    net.ask()
    guest.migrate()
    net.up()
    net.ask()
    stream.progress()
    assert stream.stop() > 0
    assert net.published("feature-gso-tcpv4") == "0"
    guest.run(f"ip link set {net.name} down; ip link set {net.name} up")
    net.up()
    net.ask()
    net.clean()
    guest.unload_xpv()


def test_xdp_flood(net):
    """The receive ring runs dry, and the transmit ring full, for all verdicts."""
    net.attach("BACK")
    net.settle(True)
    floods = [net.host.start(f"ping -f -s {size} -w 30 {net.address} >/dev/null 2>&1; true") for size in (56, 1400)]
    for send in (*SENDS, "BACK"):
        net.attach(send)
        blast = net.host.start(f"python3 - {net.address} {ECHO_PORT} <<'END'\n{BLAST}END")
        blast.wait(60)
    for flood in floods:
        flood.wait(90)
    net.ask()
    net.clean()
    net.guest.unload_xpv()


def test_xdp_tools(net):
    """Programs of xdp-tools come and go beside ours while a stream passes; one transmits as fast as it can."""
    guest, stream = net.guest, net.stream()
    guest.run("mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf")
    guest.run(f"xdp-loader load -m native {net.name} /tmp/xdp_BACK.o")
    net.settle(True)
    net.expect("BACK")
    for _ in range(3):
        # Before ours, by its priority.
        guest.run(f"xdp-filter load -m native -f udp,ipv4 {net.name}; xdp-filter port -p udp -m dst {ECHO_PORT}")
        net.expect("NOTHING")
        stream.progress()
        guest.run(f"xdp-filter unload {net.name}")
        net.expect("BACK")
    dom0_mac = net.host.run("cat /sys/class/net/xenbr0/address").out.strip()
    arrived = f"cat /sys/class/net/{net.vif}/statistics/rx_packets"
    frames, packets = net.count("frames"), int(net.host.run(arrived).out)
    guest.run(f"timeout -s INT 8 xdp-trafficgen udp -m {dom0_mac} {net.name} >/tmp/trafficgen.out 2>&1; true")
    sent = net.count("frames") - frames
    assert sent > 2000, guest.run("cat /tmp/trafficgen.out").out
    until(lambda: int(net.host.run(arrived).out) >= packets + sent, 30)
    guest.run(f"xdp-loader unload {net.name} --all")
    net.settle(False)
    stream.progress()
    assert stream.stop() > 0
    net.exchange(chunks=8)
    net.clean()
    guest.unload_xpv()


def test_xdp_with_a_backend_that_is_not_trusted(guest, modules, host, programs):
    one = guest(type="hvm", drivers="xpv", modules=modules, vcpus=2, memory=320, vifs=1)
    one.load_xpv(netfront="trusted=0")
    net = Xdp(one, host, programs)
    net.attach("BACK")
    net.settle(True)
    for send in ("REDIRECTED", "BACK"):
        net.attach(send)
        net.expect(send)
    net.exchange(chunks=8)
    net.clean()
    one.unload_xpv()
