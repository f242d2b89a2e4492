# SPDX-License-Identifier: GPL-2.0-only
"""The tools for users, as far as they can be tested without a guest."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TRACE = """\
# tracer: nop
          bash-612     [001] .....   341.100001: xpv_store_request: transaction=0 operation=XS_READ path=domid id=7
          bash-612     [001] .....   341.101345: xpv_store_reply: transaction=0 operation=XS_READ path=domid result=0 us=1344 id=7
 odd name: 1-2     [000] d..1.   341.200000: xpv_store_reply: transaction=12 operation=XS_WRITE path=a=b result=-11 us=12 id=8
     xpv-watch-88      [000] .....   341.300000: xpv_store_watch: path=device/vbd token=1f2e
     xpv-watch-88      [000] .....   341.400000: xpv_store_watch_called: path=device/vbd us=1000007
          bash-612     [001] .....   341.500000: xpv_store_reply: transaction=0 operation=XS_RM path= result=-999 us=0 id=9
          bash-612     [001] .....   341.600000: sched_switch: prev_comm=xpv_store_reply
"""
RECORD = """\
barrier down
restored 1
cpus_rebuilt 3
started 1000000000
prepared 1003000000
stopped 1010000000
entering 1011000000
returned 9011000000
early_done 9013000000
cpus_back 9016000000
late 9017000000
done 9030000000
cpu1_back 9014000000
cpu2_back 9015000000
cpu3_back 9016000000
"""


def test_xenstore_snoop(tmp_path):
    """Each kind of line of the trace, and no other, in the form that is promised."""
    trace = tmp_path / "trace"
    trace.write_text(TRACE)
    out = subprocess.run([ROOT / "tools/xenstore-snoop", "--format", trace], check=True, capture_output=True, text=True)
    assert [line.split() for line in out.stdout.splitlines()] == [
        ["TIME", "DOMAIN", "TRANSACTION", "OPERATION", "PATH", "RESULT", "DURATION"],
        ["341.100001", "-", "-", "READ", "domid", "..."],
        ["341.101345", "-", "-", "READ", "domid", "ok", "1.344", "ms"],
        ["341.200000", "-", "12", "WRITE", "a=b", "EAGAIN", "0.012", "ms"],
        ["341.300000", "-", "-", "WATCH_EVENT", "device/vbd", "1f2e"],
        ["341.400000", "-", "-", "(callback)", "device/vbd", "1000.007", "ms"],
        ["341.500000", "-", "-", "RM", "-999", "0.000", "ms"],
    ]


def timeline(record):
    return subprocess.run([ROOT / "tools/suspend-timeline", "/dev/stdin"], input=record, capture_output=True, text=True)


def test_suspend_timeline():
    """Each step has its time and its place; the time away is told, but not drawn."""
    lines = timeline(RECORD).stdout.splitlines()
    texts = [line.split("|")[0].rsplit(None, 1) for line in lines]
    assert [float(text[1]) for text in texts[1:]] == [3, 7, 1, 8000, 2, 1, 2, 3, 1, 13, 30]
    assert [text[0] for text in texts[6:9]] == [f"irqs off: vCPU {cpu} comes back" for cpu in (1, 2, 3)]
    bars = [line.split("|")[1] for line in lines[1:]]
    assert [len(bar) - len(bar.lstrip()) for bar in bars] == [0, 6, 20, 22, 22, 26, 26, 26, 32, 34, 0]
    assert [bar.count("#") for bar in bars] == [6, 14, 2, 0, 4, 2, 4, 6, 2, 26, 60]


def test_suspend_timeline_of_nothing():
    assert timeline(RECORD.replace("done 9030000000", "done 0")).returncode == 1
