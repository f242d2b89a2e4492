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
# Of the wire that guests are migrated over: to the emulator a packet costs the same, whatever its size.
MTU = 16000


class Pair:
    """with Pair() as (one, other): ...

    `bridged`: a second wire joins their bridges, so that what a guest talked to
    on one machine it finds from the other. 10.77.0.1 is the first's then, and
    the second has 10.77.0.2."""

    def __init__(self, disk_size=64 << 20, bridged=False, **options):
        self._options = options
        self._bridged = bridged
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

    @staticmethod
    def _wire(path, name, number, mac, slot):
        """A network card of machine `number`, whose other end is the other machine's."""
        return ["-netdev", f"stream,id={name},addr.type=unix,addr.path={path},server={'off' if number else 'on'}",
                "-device", f"virtio-net-pci,netdev={name},mac={mac}:{number + 1:02x},addr={slot}"]

    def _boot(self):
        scratch = Path(tempfile.mkdtemp(prefix="xpvlab-pair-"))
        self._stack.callback(shutil.rmtree, scratch)
        disk = scratch / "disk"
        with open(disk, "wb") as file:
            file.truncate(self._disk_size)
        hosts = []
        for number, address in enumerate(ADDRESSES):
            bridge = self._wire(f"{scratch}/bridges", "bridges", number, "00:16:3e:89:00", "0x1d") if self._bridged else []
            host = self._stack.enter_context(Host(devices=[
                # Each writes past its caches, and only the one that has the guest writes.
                "-drive", f"file={disk},format=raw,if=none,id=both,cache=directsync,file.locking=off",
                "-device", "virtio-blk-pci,drive=both,addr=0x1e",
                *self._wire(f"{scratch}/wire", "wire", number, "00:16:3e:88:00", "0x1f"), *bridge,
            ], **self._options))
            host.peer_address = ADDRESSES[1 - number]
            host.run(f"modprobe virtio_net; udevadm settle; i=$(grep -l 00:16:3e:88:00 /sys/class/net/*/address | cut -d/ -f5); "
                     f"ip addr add {address}/24 dev $i && ip link set $i mtu {MTU} up")
            if self._bridged:
                host.run("i=$(grep -l 00:16:3e:89:00 /sys/class/net/*/address | cut -d/ -f5); ip link set $i master xenbr0 up")
                if number:
                    host.run("ip addr del 10.77.0.1/16 dev xenbr0; ip addr add 10.77.0.2/16 dev xenbr0")
            for script in ("migrate_connect.py", "migrate_accept.py"):
                host.push(INSIDE / script)
            hosts.append(host)
        for host in hosts:
            host.run(f"ping -c 2 -W 10 {host.peer_address}")
            if int(host.run(f"blockdev --getsize64 {DISK}").out) != self._disk_size:
                raise LabError(f"{DISK} is not the disk that both have")
        if self._bridged:
            hosts[0].run("ping -c 2 -W 10 10.77.0.2")
        return hosts
