# SPDX-License-Identifier: GPL-2.0-only
"""The lab tested by itself, with the kernel's own drivers."""

import pytest

from xpvlab import SplatFound

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


@pytest.mark.parametrize("type", ["pv", "pvh", "hvm"])
def test_disk(guest, host, type):
    one = guest(type=type, disks=1)
    node = one.wait_for_disk()
    one.run(CHECKSUMMED_IO.format(node=node), timeout=300)
    digest = f"dd if={{}} bs=1M count=64 iflag=direct status=none | sha256sum"
    inside = one.run(digest.format(node)).out
    assert inside == host.run(digest.format(one.disks[0].backend)).out


def test_network(guest, host):
    one = guest(type="pvh", vifs=1)
    one.net_up()
    one.run("ping -c 3 -W 10 10.77.0.1")


def test_channel_carries_what_it_is_given(guest):
    one = guest(type="pv")
    result = one.run("echo out; echo err >&2; exit 7", check=False)
    assert (result.status, result.out, result.err) == (7, "out\n", "err\n")
    one.write_file("/tmp/blob", bytes(range(256)) * 500)
    assert "128000" in one.run("wc -c </tmp/blob").out
    slow = one.start("sleep 5; echo late")
    assert one.run("echo early").out == "early\n"
    assert slow.wait().out == "late\n"


def test_splat_in_a_guest_fails_it(host, kernel):
    with pytest.raises(SplatFound):
        with host.guest(type="pv", kernel=kernel) as one:
            one.run("echo 'WARNING: CPU: 0 PID: 1 at made/up.c:1' >/dev/kmsg")
