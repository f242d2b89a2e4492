# SPDX-License-Identifier: GPL-2.0-only
"""The domain saved, restored, checkpointed and migrated by xl, under load."""

import re
import subprocess

import pytest

from xpvlab import initrd, xenstate

JOURNAL = (initrd.INSIDE / "journal.py").read_text()
IMAGE = "/var/lib/xpv-saved"


@pytest.fixture(scope="session")
def watchers(tmp_path_factory):
    """The program, built here: it brings its libraries along."""
    path = tmp_path_factory.mktemp("suspend") / "watchers"
    subprocess.run(["gcc", "-O2", "-static", "-pthread", "-o", path, initrd.INSIDE / "watchers.c"], check=True)
    return path.read_bytes()


class Load:
    """What runs in a guest while it is suspended, and finds what was lost."""

    def __init__(self, guest, node, watchers):
        self._guest = guest
        self._node = node
        guest.write_file("/tmp/watchers", watchers)
        guest.write_file("/tmp/journal.py", JOURNAL)
        guest.run(f"""
            set -e
            chmod +x /tmp/watchers
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
        """)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:        # leave nothing that keeps the next test's guest busy
            self._guest.run("for f in /tmp/load/*.pid; do kill -KILL -$(cat $f); done; umount /mnt", check=False)

    def progress(self):
        """It goes on: more records than before, on a disk that answers."""
        count = "wc -l </tmp/load/acknowledged"
        before = int(self._guest.run(count).out)
        self._guest.run(f"n=0; until [ $({count}) -gt $(({before} + 20)) ]; do sleep 0.2; n=$((n+1)); "
                        "[ $n -lt 300 ] || exit 1; done", timeout=200)

    def end(self):
        """Stop it all, and see that nothing was lost. Returns each CPU's longest standstill in µs."""
        self._guest.run("""
            cd /tmp/load
            kill -KILL -$(cat reader.pid)
            kill -TERM $(cat journal.pid) $(cat watchers.pid)
            n=0; while kill -0 $(cat journal.pid) 2>/dev/null || kill -0 $(cat watchers.pid) 2>/dev/null; do
                sleep 0.2; n=$((n+1)); [ $n -lt 300 ] || exit 1; done
        """, timeout=200)
        said = self._guest.run("cat /tmp/load/watchers.out /tmp/load/journal.out").out
        assert "fault" not in said and "Error" not in said, said
        cpus = {int(cpu): int(longest) for cpu, longest in re.findall(r"cpu (\d+) turns \d+ longest_us (\d+)", said)}
        assert len(cpus) == self._guest.vcpus, said
        self._guest.run(f"umount /mnt && blockdev --flushbufs {self._node} && mount {self._node} /mnt", timeout=300)
        self._guest.run("python3 /tmp/journal.py check /mnt/journal /tmp/load/acknowledged; umount /mnt")
        return cpus


def suspends(guest):
    """What xpv counts, by name."""
    lines = guest.run("cat /sys/kernel/debug/xpv/suspend").out.splitlines()
    return {name: value for name, value in (line.rsplit(None, 1) for line in lines)}


def uptime_of(guest, cpu):
    return guest.run(f"taskset -c {cpu} sh -c 'sleep 0.05; cat /proc/uptime'").out


def assert_alive(guest):
    for cpu in range(guest.vcpus):
        uptime_of(guest, cpu)
    guest.run("ls /sys/bus/xpv/devices >/dev/null; cat /sys/kernel/debug/xpv/evtchn")


@pytest.mark.vcpus(2, more=(1, 3, 4))
def test_checkpoint_save_and_migrate_under_load(xpv, host, watchers):
    """The same guest through each way of suspending, and at last unloaded
    with nothing left behind."""
    granted = xenstate.granted(host, xpv.domid)
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    with Load(xpv, node, watchers) as load:
        load.progress()

        xpv.checkpoint(IMAGE)
        host.run(f"rm {IMAGE}")
        assert_alive(xpv)
        load.progress()
        assert suspends(xpv)["cancelled"] == "1"

        xpv.save(IMAGE)
        xpv.restore(IMAGE)
        host.run(f"rm {IMAGE}")
        assert_alive(xpv)
        load.progress()
        counted = suspends(xpv)
        assert (counted["restored"], counted["failed"]) == ("1", "0")
        assert int(counted["cpus_rebuilt"]) == xpv.vcpus - 1

        xpv.migrate()
        assert_alive(xpv)
        load.progress()
        assert suspends(xpv)["restored"] == "2"
        assert xpv.run("cat /sys/kernel/xpv/suspend/count").out == "3\n"

        standstills = load.end()
        print("longest standstill in µs, by CPU:", standstills)
    counts = xpv.grant_counts()
    assert counts["parked"] == counts["lost"] == 0
    xpv.unload_xpv()
    assert xenstate.granted(host, xpv.domid) == granted
    xpv.load_xpv()
    xpv.wait_for_disk()
    xpv.unload_xpv()


@pytest.mark.vcpus(2)
def test_vcpus_that_spin(xpv, host):
    """The other barrier: Xen saves the vCPUs where they wait."""
    xpv.load_xpv(suspend="barrier=spin")
    node = xpv.wait_for_disk()
    xpv.save(IMAGE)
    xpv.restore(IMAGE)
    host.run(f"rm {IMAGE}")
    assert_alive(xpv)
    counted = suspends(xpv)
    assert (counted["restored"], counted["cpus_rebuilt"]) == ("1", "0")
    xpv.run(f"dd if={node} of=/dev/null bs=64k count=20 iflag=direct status=none")
    xpv.unload_xpv()


@pytest.mark.vcpus(4)
def test_a_cpu_that_is_offline_stays_so(xpv, host):
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    xpv.run("echo 0 >/sys/devices/system/cpu/cpu2/online")
    xpv.save(IMAGE)
    xpv.restore(IMAGE)
    host.run(f"rm {IMAGE}")
    assert xpv.run("cat /sys/devices/system/cpu/online").out == "0-1,3\n"
    xpv.run("echo 1 >/sys/devices/system/cpu/cpu2/online")
    assert_alive(xpv)
    xpv.run(f"dd if={node} of=/dev/null bs=64k count=20 iflag=direct status=none")
    xpv.unload_xpv()
