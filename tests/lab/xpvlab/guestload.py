# SPDX-License-Identifier: GPL-2.0-only
"""What the loads of a guest have in common: a journal of acknowledged fsyncs
on a disk, and how they end."""

from .errors import LabError
from .initrd import INSIDE
from .progress import say


class GuestLoad:
    """Programs that use the disk `node`, mounted at /mnt. `directory` in the
    guest has the journal's acknowledgements and a .pid file for each program.
    `give_up` is what remains to be done in the guest after they were killed."""

    def __init__(self, guest, node, directory, give_up):
        self._guest = guest
        self._node = node
        self._directory = directory
        self._give_up = give_up
        guest.write_file("/tmp/journal.py", (INSIDE / "journal.py").read_text())

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if not kind:
            return
        try:            # leave nothing that keeps the next test's guest busy
            self._guest.run(f"for f in {self._directory}/*.pid; do kill -KILL -$(cat $f); done; {self._give_up}",
                            check=False)
        except LabError as error:       # what is being raised already says more
            say(f"{self._guest.name}: its load goes on: {error}")

    def _check_journal(self):
        """See that what was acknowledged is on the disk, and unmount it."""
        self._guest.run(f"umount /mnt && blockdev --flushbufs {self._node} && mount {self._node} /mnt", timeout=300)
        self._guest.run(f"python3 /tmp/journal.py check /mnt/journal {self._directory}/acknowledged && umount /mnt",
                        timeout=300)
