# SPDX-License-Identifier: GPL-2.0-only
"""xenstored stopped at a chosen request, by inside/storestall.py, which runs in dom0."""

import shlex

from .initrd import INSIDE
from .waiting import until

LOG = "/run/lab/xenstored.log"


class StoreStall:
    """From its making on it waits for lines of xenstored's log that match
    `patterns` in turn, and stops xenstored for `seconds` at the last. A line is
    "IN CONNECTION DATE TIME OPERATION (PATH VALUE)", or OUT for an answer."""

    def __init__(self, host, seconds, *patterns):
        self._host = host
        host.run(f"rm -f {LOG}; xenstore-control logfile {LOG}; xenstore-control log on")
        tool = host.push(INSIDE / "storestall.py")
        self._job = host.start(f"python3 {tool} {LOG} {seconds} {shlex.join(patterns)}")
        until(lambda: b"ready" in self._job.out or not self._job.running())

    def stopped(self, seconds=120):
        """Wait until xenstored is stopped."""
        until(lambda: self._job.out.count(b"\n") >= 2 or not self._job.running(), seconds)

    def over(self, seconds=300):
        """Wait until xenstored goes on; the line at which it was stopped."""
        result = self._job.wait(seconds)
        self._host.run(f"xenstore-control log off; rm -f {LOG}")
        assert result.status == 0, result.err
        return result.out.splitlines()[1]
