# SPDX-License-Identifier: GPL-2.0-only
"""Two machines, each with a Xen of its own, joined by a wire and by a disk
that both have: what a guest needs to be migrated from one to the other."""

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from .errors import LabError
from .host import Host
from .initrd import INSIDE

# In each dom0: the third virtio disk, after its own root and the guests'.
DISK = "/dev/vdc"
ADDRESSES = ("10.88.0.1", "10.88.0.2")


class Pair:
    """with Pair() as (one, other): ..."""

    def __init__(self, disk_size=64 << 20, **options):
        self._options = options
        self._disk_size = disk_size
        self._stack = ExitStack()

    def __enter__(self):
        try:
            return self._boot()
        except BaseException:
            self._stack.close()
            raise

    def __exit__(self, *_):
        self._stack.close()

    def _boot(self):
        scratch = Path(tempfile.mkdtemp(prefix="xpvlab-pair-"))
        self._stack.callback(shutil.rmtree, scratch)
        disk = scratch / "disk"
        with open(disk, "wb") as file:
            file.truncate(self._disk_size)
        hosts = []
        for number, address in enumerate(ADDRESSES):
            host = self._stack.enter_context(Host(devices=[
                # Each writes past its caches, and only the one that has the guest writes.
                "-drive", f"file={disk},format=raw,if=none,id=both,cache=directsync,file.locking=off",
                "-device", "virtio-blk-pci,drive=both,addr=0x1e",
                "-netdev", f"stream,id=wire,addr.type=unix,addr.path={scratch}/wire,server={'off' if number else 'on'}",
                "-device", f"virtio-net-pci,netdev=wire,mac=00:16:3e:88:00:{number + 1:02x},addr=0x1f",
            ], **self._options))
            host.peer_address = ADDRESSES[1 - number]
            host.run(f"modprobe virtio_net; udevadm settle; i=$(grep -l 00:16:3e:88:00 /sys/class/net/*/address | cut -d/ -f5); "
                     f"ip addr add {address}/24 dev $i && ip link set $i up")
            for script in ("migrate_connect.py", "migrate_accept.py"):
                host.push(INSIDE / script)
            hosts.append(host)
        for host in hosts:
            host.run(f"ping -c 2 -W 10 {host.peer_address}")
            if int(host.run(f"blockdev --getsize64 {DISK}").out) != self._disk_size:
                raise LabError(f"{DISK} is not the disk that both have")
        return hosts
