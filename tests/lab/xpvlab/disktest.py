# SPDX-License-Identifier: GPL-2.0-only
"""A file system on a guest's disk, and the same bytes seen by dom0."""

from dataclasses import dataclass

_WRITE = """
set -e
mkfs.ext4 -q -F {node}
mkdir -p /mnt
mount {node} /mnt
dd if=/dev/urandom of=/mnt/data bs=1M count={size} status=none
sync
sha256sum </mnt/data
umount /mnt
"""
_READ = """
set -e
blockdev --flushbufs {node}
mount {node} /mnt
sha256sum </mnt/data
umount /mnt
"""
# Nobody forges anything here, and MD5 needs the fewer instructions.
_WHOLE = "dd if={node} bs=1M iflag=direct status=none | md5sum"


@dataclass
class Digests:
    written: str        # of the file, as it was written
    read: str           # of the file, unmounted and mounted again
    disk: str           # of the whole disk, in the guest
    backend: str        # of the whole disk, on the backing device in dom0

    @property
    def equal(self):
        return self.written == self.read and self.disk == self.backend


def run(guest, host, number=0, size=64, timeout=600):
    """Write `size` MiB through ext4 on the guest's disk; returns Digests."""
    node = guest.wait_for_disk(number)

    def digest(machine, script, node):
        return machine.run(script.format(node=node, size=size), timeout=timeout).out.split()[0]

    return Digests(written=digest(guest, _WRITE, node), read=digest(guest, _READ, node),
                   disk=digest(guest, _WHOLE, node),
                   backend=digest(host, _WHOLE, guest.disks[number].backend))
