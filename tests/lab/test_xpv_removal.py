# SPDX-License-Identifier: GPL-2.0-only
"""A mounted disk that is taken away: what was written to it is on it, and
nothing of it is mixed up with the next disk of its name."""

import pytest

from xpvlab.storetool import vdev
from xpvlab.waiting import until, wait_until

NAME, NUMBER = vdev(5)          # xvdf, of which the guests' log may tell errors
NODE = f"/dev/{NAME}"
FILES = 12


@pytest.fixture
def loops(host):
    """Two block devices in dom0."""
    host.run("truncate -s 32M /var/removal-a.img /var/removal-b.img")
    devices = [host.run(f"losetup -f --show /var/removal-{name}.img").out.strip() for name in "ab"]
    yield devices
    host.run(f"umount /mnt; losetup -d {' '.join(devices)}; rm -f /var/removal-*.img", check=False)


def digest(host, device):
    """Of all data, past the cache that dom0 has of it for itself."""
    return host.run(f"dd if={device} bs=1M iflag=direct status=none | sha256sum").out


def attach(host, guest, device):
    host.run(f"xl block-attach {guest.name} phy:{device} {NAME} w")
    wait_until(guest, f"[ -b {NODE} ]")


@pytest.mark.vcpus(2)
def test_unbound_while_dirty(xpv, host, loops):
    """Files that are in memory only are on the disk after an unbind through
    sysfs, as dom0 sees it."""
    device = loops[0]
    xpv.load_xpv()
    attach(host, xpv, device)
    try:
        # Nothing is written back by itself for a while.
        settings = "/proc/sys/vm/dirty_writeback_centisecs /proc/sys/vm/dirty_expire_centisecs"
        saved = xpv.run(f"cat {settings}").out.split()
        xpv.run(f"set -e; for f in {settings}; do echo 60000 >$f; done; mkdir -p /mnt; mkfs.ext4 -q -F {NODE}; "
                f"mount {NODE} /mnt; sync")
        try:
            written = xpv.run(f"""set -e
                for n in $(seq {FILES}); do head -c 700000 /dev/urandom >/mnt/file$n; done
                cd /mnt && sha256sum file* && cd /
                [ $(awk '/^Dirty:/ {{print $2}}' /proc/meminfo) -gt 4000 ]
                echo vbd-{NUMBER} >/sys/bus/xpv/drivers/xpv_blkfront/unbind""").out
        finally:
            xpv.run("; ".join(f"echo {value} >{file}" for value, file in zip(saved, settings.split())))
        wait_until(xpv, f"[ ! -e /sys/block/{NAME} ]")
        xpv.run("umount /mnt")
        # It was not unmounted as long as it was there: what its journal has is replayed.
        host.run(f"blockdev --flushbufs {device}")
        assert host.run(f"e2fsck -p {device}", check=False).status in (0, 1)
        host.run(f"e2fsck -fn {device}")
        assert host.run(f"mount -o ro {device} /mnt && cd /mnt && sha256sum file*").out == written
    finally:
        host.run(f"umount /mnt; xl block-detach {xpv.name} {NAME}", check=False)
    xpv.unload_xpv()


@pytest.mark.matrix
@pytest.mark.vcpus(2)
@pytest.mark.parametrize("how", ["xl", "nodes"])
def test_another_disk_of_its_name(xpv, host, loops, how):
    """Case 27. A mounted disk is detached and another one attached at once
    under its name, by xl or by nodes that vanish. A driver that takes the new
    backend for the old one, restarted, writes the old disk's dirty data to the
    new disk. The old mount must never show the new disk's data, and the new
    disk stay as it was."""
    xpv.load_xpv()
    for number, device in enumerate(loops):
        host.run(f"mkfs.ext4 -q -F {device} && mount {device} /mnt && "
                 f"yes disk{number} | head -c 4M >/mnt/data && umount /mnt")
    attach(host, xpv, loops[0])
    frontend = f"/local/domain/{xpv.domid}/device/vbd/{NUMBER}"
    try:
        xpv.run(f"mkdir -p /mnt && mount {NODE} /mnt")
        before = digest(host, loops[1])
        take = f"xl block-detach {xpv.name} {NAME}" if how == "xl" else \
            f"xenstore-rm {frontend}; xenstore-rm /local/domain/0/backend/vbd/{xpv.domid}/{NUMBER}; " \
            f"xenstore-rm /libxl/{xpv.domid}/device/vbd/{NUMBER}"
        host.run(f"{take}; xl block-attach {xpv.name} phy:{loops[1]} {NAME} w", timeout=300)
        until(lambda: host.run(f"xenstore-read {frontend}/state", check=False).out.strip() == "4", 120)
        # What the old mount still gives is in memory, or an error, or the old data.
        xpv.run("""set -e
            for n in 1 2 3; do
                echo 3 >/proc/sys/vm/drop_caches
                if dd if=/mnt/data bs=64k status=none 2>/dev/null | grep -q disk1; then exit 1; fi
                head -c 100000 /dev/zero >/mnt/new 2>/dev/null || true
                sync -f /mnt 2>/dev/null || true
            done""")
        until(lambda: xpv.run("umount /mnt", check=False).status == 0)
        wait_until(xpv, f"[ -b {NODE} ]")
        xpv.run("udevadm settle")
        assert digest(host, loops[1]) == before
        xpv.run(f"mount -o ro {NODE} /mnt && [ $(head -1 /mnt/data) = disk1 ] && umount /mnt")
    finally:
        xpv.run("umount -l /mnt", check=False)
        host.run(f"xl block-detach {xpv.name} {NAME}", check=False)
    wait_until(xpv, f"[ ! -e /sys/block/{NAME} ]")
    xpv.unload_xpv()
