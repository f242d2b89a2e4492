# SPDX-License-Identifier: GPL-2.0-only
"""A disk in use while its backend comes and goes, in a guest with xpv or
without, and what finds lost, doubled or misplaced writes."""

from .errors import LabError
from .guest import AS_LOAD
from .guestload import GuestLoad

FIO = "fio --name=verified --filename=/mnt/verified --direct=1 --ioengine=libaio --iodepth=16 --rw=randrw " \
      "--bsrange=4k-64k --size=6m --randrepeat=0 --verify=crc32c --verify_fatal=1 --do_verify=1 --output-format=terse"
PROGRESS = """
    cd /tmp/diskload
    count() {{ mapfile -t lines <acknowledged; echo ${{#lines[@]}}; }}
    goal=$(($(count) + {records})) end=$((SECONDS + {seconds}))
    until [ $(count) -ge $goal ]; do sleep 0.2; [ $SECONDS -lt $end ] || exit 1; done
"""
# What is known of a disk that does not go on.
STANDS_STILL = """
    cat /tmp/diskload/*.out; cat /proc/[0-9]*/stack 2>/dev/null | grep xpv
    tail -n +1 /sys/kernel/debug/xpv/blkfront /sys/kernel/debug/xpv/xenbus*
    xenstore-ls device/vbd
    for backend in $(xenstore-list -p device/vbd | sed 's,$,/backend,'); do xenstore-ls $(xenstore-read $backend); done
    dmesg | tail -n 20
"""


class DiskLoad(GuestLoad):
    """ext4 on `node`; on it a journal of acknowledged fsyncs, and fio, which
    writes random blocks and reads them back. All data is also compared with
    what `backend`, a block device in dom0, has at the end."""

    def __init__(self, guest, node, backend):
        super().__init__(guest, node, "/tmp/diskload", give_up="umount -l /mnt")
        self._backend = backend
        guest.run(f"""
            set -e
            mkfs.ext4 -q -F {node}
            mkdir -p /mnt /tmp/diskload
            mount {node} /mnt
            cd /tmp/diskload
            rm -f *
            touch acknowledged rounds
            setsid {AS_LOAD} python3 /tmp/journal.py write /mnt/journal acknowledged >journal.out 2>&1 &
            echo $! >journal.pid
            setsid {AS_LOAD} sh -c 'while [ ! -e stop ]; do {FIO} >fio.out 2>&1 || {{ touch failed; exit; }}
                echo >>rounds; done' >/dev/null 2>&1 &
            echo $! >fio.pid
        """, timeout=300)

    def records(self):
        """How many are acknowledged."""
        return int(self._guest.run("wc -l </tmp/diskload/acknowledged").out)

    def progress(self, seconds=120, records=20):
        """So many more records are written within so many seconds."""
        if self._guest.run(PROGRESS.format(records=records, seconds=seconds), check=False, timeout=seconds + 120).status:
            raise LabError(f"{self._guest.name}: {self._node} stands still\n"
                           + self._guest.run(STANDS_STILL, check=False).out[-8000:])

    def end(self):
        """Stop, and see that all is there, in the guest's eyes and in dom0's."""
        self._guest.run("""
            cd /tmp/diskload
            touch stop
            kill -TERM $(<journal.pid)
            end=$((SECONDS + 150))
            while kill -0 $(<journal.pid) $(<fio.pid) 2>/dev/null; do sleep 0.2; [ $SECONDS -lt $end ] || exit 1; done
            [ ! -e failed ] || { cat fio.out; exit 2; }
            [ -s rounds ] || exit 3
        """, timeout=300)
        self._check_journal()
        whole = "dd if={} bs=1M iflag=direct status=none | md5sum"
        ours, theirs = (machine.run(whole.format(device), timeout=600).out
                        for machine, device in ((self._guest, self._node), (self._guest.host, self._backend)))
        if ours != theirs:
            raise LabError(f"{self._guest.name}: {self._node} and {self._backend} differ")
        self._guest.run(f"e2fsck -fn {self._node}", timeout=300)
