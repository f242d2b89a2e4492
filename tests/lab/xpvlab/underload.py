# SPDX-License-Identifier: GPL-2.0-only
"""What runs in a guest with xpv while it is suspended, and finds what was lost."""

import re

from . import built, initrd
from .errors import LabError
from .guest import AS_LOAD
from .guestload import GuestLoad

STORE = (initrd.INSIDE / "store_load.py").read_text()
STORE_THREADS = int(re.search(r"^THREADS = (\d+)$", STORE, re.M)[1])
# To start a process takes seconds in a guest under load, so what waits there does without.
COUNTS = """
    cd /tmp/load
    exec 9<>never
    nap() { read -r -t 0.2 -u 9; }
    journal() { mapfile -t lines <acknowledged; count=${#lines[@]}; }
    store() { read -r count _ <store.count; }
    kernel_thread() { read -r _ _ _ count _ </sys/module/clockwatch/parameters/seen; }
"""
PROGRESS = """
    declare -A wanted=([journal]=20 [store]=2 [kernel_thread]=20) goal
    for what in "${!wanted[@]}"; do $what; goal[$what]=$((count + wanted[$what])); done
    end=$((SECONDS + 200))
    for what in "${!wanted[@]}"; do
        until $what; [ $count -gt ${goal[$what]} ]; do
            nap
            [ $SECONDS -lt $end ] || { echo $what; exit 1; }
        done
    done
"""
SAID = """
    for file in watchers.out journal.out store.out; do mapfile lines <$file || exit 1; printf %s "${lines[@]}"; done
    echo "seen $(</sys/module/clockwatch/parameters/seen)"
"""
# Where dom0 keeps what xl saves.
IMAGE = "/var/lib/xpv-saved"


class Load(GuestLoad):
    """A journal of acknowledged fsyncs on the disk and a reader of it; a
    watcher on each CPU, in user space and in the kernel; requests,
    transactions and watches of the store from several threads."""

    def __init__(self, guest, node):
        super().__init__(guest, node, "/tmp/load", give_up="umount /mnt; rmmod clockwatch")
        self._asked = 0         # how often for the standstill
        self._restored = int(suspends(guest)["restored"])
        guest.write_program("watchers", built.watchers())
        guest.write_file("/tmp/store_load.py", STORE)
        guest.write_file("/tmp/clockwatch.ko", built.module("clockwatch", guest.kernel.release))
        guest.run(f"""
            set -e
            insmod /tmp/clockwatch.ko
            mkfs.ext4 -q -F {node}
            mkdir -p /mnt /tmp/load
            mount {node} /mnt
            rm -f /tmp/load/*
            cd /tmp/load
            touch acknowledged
            mkfifo never
            setsid {AS_LOAD} /tmp/watchers >watchers.out 2>&1 &
            echo $! >watchers.pid
            setsid {AS_LOAD} python3 /tmp/journal.py write /mnt/journal acknowledged >journal.out 2>&1 &
            echo $! >journal.pid
            setsid {AS_LOAD} sh -c 'while dd if={node} of=/dev/null bs=256k iflag=direct 2>reader.out; do :; done' &
            echo $! >reader.pid
            echo 0 0 >store.count
            setsid {AS_LOAD} python3 /tmp/store_load.py store.count >store.out 2>&1 &
            echo $! >store.pid
        """)

    def progress(self):
        """All of it goes on: each counts further than before."""
        moved = self._guest.run(f"{COUNTS} {PROGRESS}", timeout=300, check=False)
        if moved.status:
            raise LabError(f"{self._guest.name}, under load: stands still: {moved.out}")

    def _said(self, script, timeout=120):
        """What they have printed, after that script; raises if there is a fault in it."""
        out = self._guest.run(COUNTS + script + SAID, timeout=timeout).out
        said, _, seen = out.rpartition("seen ")
        if "fault" in said or "Error" in said:
            raise LabError(f"{self._guest.name}, under load: {said[-4000:]}")
        if not seen.startswith("faults 0 "):
            raise LabError(f"{self._guest.name}, threads of the kernel: {seen}")
        return said

    def standstill(self):
        """The longest time in ms that a CPU stood still, by the guest's
        monotonic clock, since this was last asked."""
        self._asked += 1
        said = self._said(f"""
            answers() {{ mapfile -t lines <watchers.out; count=0
                         for line in "${{lines[@]}}"; do [[ $line != "recent {self._asked} "* ]] || count=$((count+1)); done; }}
            kill -USR1 $(<watchers.pid)
            until answers; [ $count = {self._guest.vcpus} ]; do nap; [ $SECONDS -lt 60 ] || exit 1; done
        """)
        gaps = re.findall(rf"^recent {self._asked} cpu \d+ us (\d+)$", said, re.M)
        return max(map(int, gaps)) / 1000

    def end(self):
        """Stop it all, and see that nothing was lost. Returns each CPU's longest standstill, to be read."""
        said = self._said("""
            kill -KILL -$(<reader.pid) -$(<store.pid)
            ending="$(<journal.pid) $(<watchers.pid)"
            kill -TERM $ending
            while kill -0 $ending 2>/dev/null; do nap; [ $SECONDS -lt 100 ] || exit 1; done
        """, timeout=200)
        replaced = int(self._guest.run("cut -d' ' -f2 /tmp/load/store.count").out)
        restored = int(suspends(self._guest)["restored"]) - self._restored
        if replaced > restored * STORE_THREADS:
            raise LabError(f"{self._guest.name}: nodes were gone {replaced} times after {restored} restores")
        cpus = {int(cpu): f"{int(longest) / 1e6:.1f} s until {int(over) / 1e3:.1f}" for cpu, longest, over
                in re.findall(r"cpu (\d+) turns \d+ longest_us (\d+) over_ms (\d+)", said)}
        if len(cpus) != self._guest.vcpus:
            raise LabError(f"{self._guest.name}: not every watcher ended: {said[-4000:]}")
        self._guest.run("rmmod clockwatch")
        self._check_journal()
        return cpus


def suspends(guest):
    """What xpv counts, by name."""
    lines = guest.run("echo \"$(</sys/kernel/debug/xpv/suspend)\"").out.splitlines()
    return {name: value for name, value in (line.rsplit(None, 1) for line in lines)}


def expect_alive(guest, cpus=None):
    """Each CPU runs tasks and has timers, and xpv answers; raises CommandFailed or CommandTimeout otherwise."""
    cpus = range(guest.vcpus) if cpus is None else cpus
    # By number: `jobs -p` forgets one that has already failed.
    guest.run(f"tasks=; for cpu in {' '.join(map(str, cpus))}; do taskset -c $cpu sleep 0.05 & tasks=\"$tasks $!\"; done; "
              "for task in $tasks; do wait $task || exit 1; done; "
              "[ -d /sys/bus/xpv/devices ] && mapfile </sys/kernel/debug/xpv/evtchn", timeout=120 + 30 * len(cpus))
