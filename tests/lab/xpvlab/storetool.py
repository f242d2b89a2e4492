# SPDX-License-Identifier: GPL-2.0-only
"""Block devices and floods by inside/storetool.py, which runs in dom0."""

import string

from .initrd import INSIDE


def vdev(index):
    """Name and number of the index'th disk."""
    number = 202 << 8 | index << 4 if index < 16 else 1 << 28 | index << 8
    return f"xvd{string.ascii_lowercase[index]}", number


class StoreTool:
    def __init__(self, host):
        self.host = host
        self._path = host.push(INSIDE / "storetool.py")

    def command(self, *arguments):
        """For a shell in dom0."""
        return " ".join(["python3", self._path, *map(str, arguments)])

    def start(self, *arguments):
        return self.host.start(self.command(*arguments))

    def add(self, guest, numbers, *options, wait=0):
        """Make devices, and wait so many seconds until they are connected;
        returns the seconds that this took. See storetool.py for options."""
        out = self.host.run(self.command("add", guest.domid, *numbers, *options, "--wait", wait),
                            timeout=wait + 120).out.strip()
        return float(out) if wait else None

    def move(self, guest, numbers, *options):
        """Give devices new backends."""
        self.host.run(self.command("move", guest.domid, *numbers, *options))

    def wait(self, guest, numbers, seconds=60):
        """Wait until all are connected."""
        self.host.run(self.command("wait", guest.domid, *numbers, "--wait", seconds), timeout=seconds + 60)

    def remove(self, guest, numbers, *options, wait=10):
        """Take devices away; returns those whose backend has not closed."""
        out = self.host.run(self.command("remove", guest.domid, *numbers, *options, "--wait", wait),
                            timeout=wait + 120).out
        return [int(number) for number in out.split()]
