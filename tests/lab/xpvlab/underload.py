# SPDX-License-Identifier: GPL-2.0-only
"""What runs in a guest with xpv while it is suspended, and finds what was lost."""

import re

from . import built, initrd
from .errors import LabError
from .progress import say

JOURNAL = (initrd.INSIDE / "journal.py").read_text()
STORE = (initrd.INSIDE / "store_load.py").read_text()
STORE_THREADS = int(re.search(r"^THREADS = (\d+)$", STORE, re.M)[1])
# Where dom0 keeps what xl saves.
IMAGE = "/var/lib/xpv-saved"


class Load:
    """A journal of acknowledged fsyncs on the disk and a reader of it; a
    watcher on each CPU, in user space and in the kernel; requests,
    transactions and watches of the store from several threads."""

    def __init__(self, guest, node):
        self._guest = guest
        self._node = node
        self._asked = 0         # how often for the standstill
        self._restored = int(suspends(guest)["restored"])
        guest.write_file("/tmp/watchers", built.watchers())
        guest.write_file("/tmp/journal.py", JOURNAL)
        guest.write_file("/tmp/store_load.py", STORE)
        guest.write_file("/tmp/clockwatch.ko", built.module("clockwatch", guest.kernel.release))
        guest.run(f"""
            set -e
            chmod +x /tmp/watchers
            insmod /tmp/clockwatch.ko
            mkfs.ext4 -q -F {node}
            mkdir -p /mnt /tmp/load
            mount {node} /mnt
            rm -f /tmp/load/*
            cd /tmp/load
            touch acknowledged
            setsid /tmp/watchers >watchers.out 2>&1 &
            echo $! >watchers.pid
            setsid python3 /tmp/journal.py write /mnt/journal acknowledged >journal.out 2>&1 &
            echo $! >journal.pid
            setsid sh -c 'while dd if={node} of=/dev/null bs=256k iflag=direct 2>reader.out; do :; done' &
            echo $! >reader.pid
            echo 0 0 >store.count
            setsid python3 /tmp/store_load.py store.count >store.out 2>&1 &
            echo $! >store.pid
        """)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if not kind:
            return
        try:            # leave nothing that keeps the next test's guest busy
            self._guest.run("for f in /tmp/load/*.pid; do kill -KILL -$(cat $f); done; umount /mnt; "
                            "rmmod clockwatch", check=False)
        except LabError as error:       # what is being raised already says more
            say(f"{self._guest.name}: its load goes on: {error}")

    def _moves(self, count, by, what):
        """It goes on: it counts further than before."""
        moved = self._guest.run(f"before=$({count}); n=0; until [ $({count}) -gt $((before + {by})) ]; do sleep 0.2; "
                                "n=$((n+1)); [ $n -lt 300 ] || exit 1; done", timeout=200, check=False)
        if moved.status:
            raise LabError(f"{self._guest.name}: {what} stands still")

    def progress(self):
        self._moves("wc -l </tmp/load/acknowledged", 20, "the journal")
        self._moves("cut -d' ' -f1 /tmp/load/store.count", 2, "the store")
        self._moves("cut -d' ' -f4 /sys/module/clockwatch/parameters/seen", 20, "a thread of the kernel")

    def _said(self):
        """What they have printed; raises if there is a fault in it."""
        said = self._guest.run("cat /tmp/load/watchers.out /tmp/load/journal.out /tmp/load/store.out").out
        if "fault" in said or "Error" in said:
            raise LabError(f"{self._guest.name}, under load: {said[-4000:]}")
        seen = self._guest.run("cat /sys/module/clockwatch/parameters/seen").out
        if not seen.startswith("faults 0 "):
            raise LabError(f"{self._guest.name}, threads of the kernel: {seen}")
        return said

    def standstill(self):
        """The longest time in ms that a CPU stood still, by the guest's
        monotonic clock, since this was last asked."""
        self._asked += 1
        self._guest.run("cd /tmp/load; kill -USR1 $(cat watchers.pid); "
                        f"n=0; until [ $(grep -c '^recent {self._asked} ' watchers.out) = {self._guest.vcpus} ]; do "
                        "sleep 0.1; n=$((n+1)); [ $n -lt 300 ] || exit 1; done", timeout=120)
        gaps = re.findall(rf"^recent {self._asked} cpu \d+ us (\d+)$", self._said(), re.M)
        return max(map(int, gaps)) / 1000

    def end(self):
        """Stop it all, and see that nothing was lost. Returns each CPU's longest standstill in µs."""
        self._guest.run("""
            cd /tmp/load
            kill -KILL -$(cat reader.pid) -$(cat store.pid)
            kill -TERM $(cat journal.pid) $(cat watchers.pid)
            n=0; while kill -0 $(cat journal.pid) 2>/dev/null || kill -0 $(cat watchers.pid) 2>/dev/null; do
                sleep 0.2; n=$((n+1)); [ $n -lt 300 ] || exit 1; done
        """, timeout=200)
        said = self._said()
        replaced = int(self._guest.run("cut -d' ' -f2 /tmp/load/store.count").out)
        restored = int(suspends(self._guest)["restored"]) - self._restored
        if replaced > restored * STORE_THREADS:
            raise LabError(f"{self._guest.name}: nodes were gone {replaced} times after {restored} restores")
        cpus = {int(cpu): int(longest) for cpu, longest in re.findall(r"cpu (\d+) turns \d+ longest_us (\d+)", said)}
        if len(cpus) != self._guest.vcpus:
            raise LabError(f"{self._guest.name}: not every watcher ended: {said[-4000:]}")
        self._guest.run("rmmod clockwatch")
        self._guest.run(f"umount /mnt && blockdev --flushbufs {self._node} && mount {self._node} /mnt", timeout=300)
        self._guest.run("python3 /tmp/journal.py check /mnt/journal /tmp/load/acknowledged && umount /mnt")
        return cpus


def suspends(guest):
    """What xpv counts, by name."""
    lines = guest.run("cat /sys/kernel/debug/xpv/suspend").out.splitlines()
    return {name: value for name, value in (line.rsplit(None, 1) for line in lines)}


def expect_alive(guest, cpus=None):
    """Each CPU runs tasks and has timers, and xpv answers; raises CommandFailed or CommandTimeout otherwise."""
    for cpu in range(guest.vcpus) if cpus is None else cpus:
        guest.run(f"taskset -c {cpu} sh -c 'sleep 0.05; cat /proc/uptime'")
    guest.run("ls /sys/bus/xpv/devices >/dev/null; cat /sys/kernel/debug/xpv/evtchn")
