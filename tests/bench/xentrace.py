# SPDX-License-Identifier: GPL-2.0-only
"""Xen's own trace of what HVM guests make it do (public/trace.h, struct t_rec).
Only one HVM guest may run meanwhile: the records do not say whose they are.
dom0, a PV guest, is not in it."""

import struct
import sys
import tempfile
from pathlib import Path

from background import STOP

LOST_RECORDS, CPU_CHANGE, CPUID, VMMCALL = 0x1f001, 0x1f003, 0x8200e, 0x82012
# What a vCPU is made to do has no time; entering and leaving it has.
EVENTS = 0x83000
EVENT_CHANNEL_OP = 32
FILE = "/var/lib/xpv-trace"


def start(host, timeout=120):
    host.run(f"rm -f {FILE}; xentrace -D -S 512 -s 100 -e {EVENTS:#x} {FILE} >/dev/null 2>&1 & echo $! >{FILE}.pid; "
             f"n=0; until [ -e {FILE} ] || [ $n = 100 ]; do sleep 0.1; n=$((n+1)); done", timeout=timeout)


def stop(host, timeout=120):
    """What was recorded."""
    host.run(f"{STOP.format(FILE)}rm {FILE}.pid", timeout=timeout)
    with tempfile.TemporaryDirectory() as scratch:
        host.pull(FILE, Path(scratch) / "trace")
        host.run(f"rm {FILE}", timeout=timeout)
        return (Path(scratch) / "trace").read_bytes()


def records(trace):
    """(event, its first word or None), in the order of time; what has none
    comes with what its CPU did before."""
    words = struct.unpack(f"<{len(trace) // 4}I", trace)
    found, at, cpu, times = [], 0, None, {}
    while at < len(words):
        event, extra, timed = words[at] & 0xfffffff, words[at] >> 28 & 7, words[at] >> 31
        first = words[at + 1 + 2 * timed] if extra else None
        if event == LOST_RECORDS:
            sys.exit("Xen's trace has lost records")
        if timed:
            times[cpu] = words[at + 1] | words[at + 2] << 32
        if event == CPU_CHANGE:
            cpu = first
        else:
            found.append((times.get(cpu, 0), event, first))
        at += 1 + 2 * timed + extra
    return [record[1:] for record in sorted(found, key=lambda record: record[0])]
