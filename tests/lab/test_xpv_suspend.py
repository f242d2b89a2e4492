# SPDX-License-Identifier: GPL-2.0-only
"""Suspends on real Xen, whole: the CPUs, the clocks and the counters afterwards; disks have tests of their own."""

import re

import pytest

# What the toolstack does; it asks through control/shutdown.
CHECKPOINT = "xl save -c {name} /tmp/{name}.save && rm /tmp/{name}.save"
MOVE = "xl save {name} /tmp/{name}.save && xl restore /tmp/{name}.save && rm /tmp/{name}.save"


def numbers(guest):
    """The counters and timings in debugfs."""
    lines = guest.run("cat /sys/kernel/debug/xpv/suspend").out.splitlines()
    return {name: value for name, value in (line.split() for line in lines)}


def interrupts(guest, name="LOC"):
    line = next(line for line in guest.run("cat /proc/interrupts").out.splitlines() if line.split()[0] == name + ":")
    return [int(count) for count in re.findall(r"\b\d+\b", line.split(":")[1])][:guest.vcpus]


def every_cpu_works(guest):
    """Each CPU runs a task, takes timer interrupts, and computes with its FPU."""
    before = interrupts(guest)
    for cpu in range(guest.vcpus):
        guest.run(f"taskset -c {cpu} sh -c 'sleep 0.2; test $(awk \"BEGIN {{ printf \\\"%.3f\\\", sqrt(2) }}\") = 1.414'",
                  timeout=60)
    guest.run("sleep 1")
    assert all(new > old for old, new in zip(before, interrupts(guest)))


def suspend(xpv, host, command, barrier):
    xpv.run(f"echo {barrier} > /sys/module/xpv_suspend/parameters/barrier")
    before = numbers(xpv)
    uptime = float(xpv.run("cut -d' ' -f1 /proc/uptime").out)
    host.run(command.format(name=xpv.name), timeout=300)
    after = numbers(xpv)
    assert float(xpv.run("cut -d' ' -f1 /proc/uptime").out) >= uptime
    # What dom0 and the guest think the time is.
    difference = float(host.run("date +%s.%N").out) - float(xpv.run("date +%s.%N").out)
    assert abs(difference) < 5
    every_cpu_works(xpv)
    return before, after


@pytest.mark.vcpus(1, 2, 4)
@pytest.mark.parametrize("barrier", ["down", "spin"])
def test_cancelled(xpv, host, barrier):
    xpv.load_xpv()
    for _ in range(3):
        before, after = suspend(xpv, host, CHECKPOINT, barrier)
        assert int(after["cancelled"]) == int(before["cancelled"]) + 1
        assert after["restored"] == before["restored"] and after["cpus_rebuilt"] == "0"
    xpv.unload_xpv()


@pytest.mark.vcpus(1, 2, 4)
@pytest.mark.parametrize("barrier", ["down", "spin"])
def test_restored(xpv, host, barrier):
    xpv.load_xpv()
    for _ in range(3):
        before, after = suspend(xpv, host, MOVE, barrier)
        assert int(after["restored"]) == int(before["restored"]) + 1
        assert int(after["cpus_rebuilt"]) == (xpv.vcpus - 1 if barrier == "down" else 0)
        assert after["retries"] == before["retries"]
    xpv.unload_xpv()
