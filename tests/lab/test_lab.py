# SPDX-License-Identifier: GPL-2.0-only
"""The lab tested by itself, with the kernel's own drivers."""

import pytest

from xpvlab import LabError, SplatFound

pytestmark = pytest.mark.newest_kernel

# Written through a file system, read back from the disk, not from the cache.
CHECKSUMMED_IO = """
set -e
mkfs.ext4 -q {node}
mount {node} /mnt
head -c 32M /dev/urandom >/mnt/data
before=$(sha256sum </mnt/data)
umount /mnt
blockdev --flushbufs {node}
mount {node} /mnt
after=$(sha256sum </mnt/data)
umount /mnt
[ "$before" = "$after" ]
"""


def test_disk_network_and_channel(guest, host):
    one = guest(type="hvm", disks=1, vifs=1)
    node = one.wait_for_disk()
    one.run(CHECKSUMMED_IO.format(node=node), timeout=300)
    digest = "dd if={} bs=1M count=64 iflag=direct status=none | sha256sum"
    inside = one.run(digest.format(node)).out
    assert inside == host.run(digest.format(one.disks[0].backend)).out

    one.net_up()
    one.run("ping -c 3 -W 10 10.77.0.1")

    result = one.run("echo out; echo err >&2; exit 7", check=False)
    assert (result.status, result.out, result.err) == (7, "out\n", "err\n")
    one.write_file("/tmp/blob", bytes(range(256)) * 500)
    assert "128000" in one.run("wc -c </tmp/blob").out
    slow = one.start("sleep 5; echo late")
    assert one.run("echo early").out == "early\n"
    assert slow.wait().out == "late\n"


def test_splat_in_a_guest_fails_it(host, kernel):
    with pytest.raises(SplatFound):
        with host.guest(type="hvm", kernel=kernel) as one:
            one.run("echo 'WARNING: CPU: 0 PID: 1 at made/up.c:1' >/dev/kmsg")


@pytest.mark.parametrize("type", ["pv", "pvh"])
def test_guests_without_a_command_channel_are_refused(host, type):
    with pytest.raises(LabError, match="no command channel"):
        host.guest(type=type)
