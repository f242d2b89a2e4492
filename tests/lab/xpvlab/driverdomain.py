# SPDX-License-Identifier: GPL-2.0-only
"""A driver domain: a PV guest whose xen-blkback serves another guest's disk."""

from .guestconfig import Disk
from .storetool import StoreTool

# The driver domain's own disk, which it hands on.
OWN = "ca:0"
# What is bound holds the module.
RELOAD = """
set -e
cd /sys/bus/xen-backend/drivers/vbd
for device in vbd-*; do echo $device >unbind; done
end=$((SECONDS + 120))
until modprobe -r xen-blkback; do sleep 0.2; [ $SECONDS -lt $end ] || exit 1; done
[ ! -e /sys/module/xen_blkback ]
"""


class DriverDomain:
    """`device`: a block device in dom0, which it has as xvda and serves."""

    def __init__(self, host, device, kernel="6.12"):
        self.guest = host.guest(type="pv", kernel=kernel, vcpus=1, memory=256, disks=[Disk(0, backend=device)],
                                config="driver_domain = 1")
        self._tool = StoreTool(host)

    def __enter__(self):
        self.guest.boot()
        self.guest.run("modprobe xen-blkback; [ -d /sys/bus/xen-backend/drivers/vbd ]")
        return self

    def __exit__(self, *_):
        self.guest.finish()

    def _options(self):
        return "--backend", self.guest.domid, "--physical", OWN

    def attach(self, guest, number):
        """A new disk of the guest's."""
        self._tool.add(guest, [number], *self._options(), "--wait", 120)

    def take_over(self, guest, number):
        """A disk that the guest has already."""
        self._tool.move(guest, [number], *self._options())

    def detach(self, guest, number):
        """What of a disk is here, and the frontend. Returns whether the backend closed."""
        return self._tool.remove(guest, [number], "--backend", self.guest.domid, wait=60) == []

    def unload(self):
        """xen-blkback, while it serves."""
        self.guest.run(RELOAD, timeout=200)

    def load(self):
        self.guest.run("modprobe xen-blkback")

    def destroy(self):
        """At once, as after a crash."""
        self.guest.stop(shutdown=False)
