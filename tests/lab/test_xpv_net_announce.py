# SPDX-License-Identifier: GPL-2.0-only
"""After a restore xpv's network interface tells its neighbours where it is."""

import base64

import pytest

from xpvlab import initrd
from xpvlab.announcements import announcements
from xpvlab.nettest import Net
from xpvlab.underload import IMAGE
from xpvlab.waiting import wait_until

# As netfront/vif.cc has them.
COUNT, SECONDS = 6, 1.0
GROUPS = """
import socket, time
ipv4 = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ipv4.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.7.7.7") + socket.inet_aton("ADDRESS"))
ipv6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
index = socket.if_nametoindex("INTERFACE").to_bytes(4, "little")
ipv6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, "ff15::77") + index)
time.sleep(1000000)
"""


@pytest.mark.matrix
def test_neighbours_are_told_after_a_restore(guest, modules, host):
    """Gratuitous ARP, neighbour advertisements, IGMP and MLD reports, each some
    times in a second. What the guest has sent is what dom0's bridge has got:
    nothing was sent before the backend could pass it on."""
    one = guest(type="hvm", drivers="xpv", modules=modules, vcpus=2, memory=320, vifs=1)
    one.load_xpv()
    net = Net(one, host)
    one.run(f"ip addr add fd77::7/64 dev {net.name}")
    wait_until(one, f"! ip -6 addr show dev {net.name} tentative | grep -q inet6")
    one.write_file("/tmp/groups.py", GROUPS.replace("ADDRESS", net.address).replace("INTERFACE", net.name))
    one.write_file("/tmp/capture.py", (initrd.INSIDE / "capture.py").read_text())
    one.run("setsid python3 /tmp/groups.py >/tmp/groups.out 2>&1 &")
    wait_until(one, "ip maddr | grep -q 239.7.7.7 && ip maddr | grep -q ff15::77")
    # The reports of joining are over.
    one.run("sleep 3")
    one.run(f"setsid python3 /tmp/capture.py {net.name} /tmp/sent.pcap >/tmp/capture.out 2>&1 & echo $! >/tmp/capture.pid")
    wait_until(one, "[ -s /tmp/sent.pcap ]")

    one.save(IMAGE)
    host.run("setsid tcpdump -i xenbr0 -U -w /run/lab/got.pcap >/run/lab/tcpdump.out 2>&1 & echo $! >/run/lab/tcpdump.pid")
    wait_until(host, "grep -q listening /run/lab/tcpdump.out")
    one.restore(IMAGE)
    host.run(f"rm {IMAGE}")
    net.ping()
    one.run("sleep 3; kill -KILL $(cat /tmp/capture.pid)")
    host.run("sleep 1; kill -TERM $(cat /run/lab/tcpdump.pid); while kill -0 $(cat /run/lab/tcpdump.pid) 2>/dev/null; do sleep 0.2; done")

    sent = announcements(base64.b64decode(one.run("base64 /tmp/sent.pcap").out), net.mac)
    host.pull("/run/lab/got.pcap", host.run_dir / "got.pcap")
    got = announcements((host.run_dir / "got.pcap").read_bytes(), net.mac)
    print({kind: [round(at - times[0], 3) for at in times] for kind, times in got.items()})
    for kind in ("gratuitous ARP", "neighbour advertisement", "IGMP report", "MLD report"):
        times = got.get(kind, [])
        # There is an advertisement of each address; and Linux may repeat a report by itself.
        assert len(times) >= COUNT, kind
        assert times[-1] - times[0] >= 0.9 * SECONDS, kind
        assert len(times) == len(sent[kind]), kind
    assert len(got["gratuitous ARP"]) == COUNT
    one.unload_xpv()
