# SPDX-License-Identifier: GPL-2.0-only
"""How the benchmarks read logs and traces."""

import importlib
import struct
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[1] / "bench"

# As xenstored writes it: with a space for each NUL.
LOG = """\
CREATE connection 0x5581
IN 0x5581 20261121 11:22:33 READ (device/vbd/51712/backend )
OUT 0x5581 20261121 11:22:33 READ (/local/domain/0/backend/vbd/3/51712)
IN 0x77 20261121 11:22:33 READ (other )
IN 0x5581 20261121 11:22:33 WATCH (/local/domain/0/backend/vbd/3/51728/state 1f )
IN 0x5581 20261121 11:22:33 WRITE (device/vbd/51712/state 3)
IN 0x5581 20261121 11:22:34 WRITE (device/vbd/51728/state 4)
IN 0x5581 20261121 11:22:34 WRITE (device/vbd/51712/state 4)
OUT 0x5581 20261121 11:22:34 WATCH_EVENT (device/vbd/51712/state 2)
IN 0x5581 20261121 11:22:34 READ (late )
"""
CONNECTED = 6

EVENTS = [
    ("request", "XS_DIRECTORY", "device", 1), ("waits",), ("reply", "XS_DIRECTORY", "device", 1),
    # Two at once are one step.
    ("request", "XS_READ", "device/vbd/51712/backend", 2), ("reply", "XS_READ", "device/vbd/51712/backend", 2),
    ("request", "XS_READ", "device/vbd/51728/backend", 3), ("waits",), ("reply", "XS_READ", "device/vbd/51728/backend", 3),
    ("request", "XS_READ", "/local/domain/0/backend/vbd/3/51712/state", 4),
    ("reply", "XS_READ", "/local/domain/0/backend/vbd/3/51712/state", 4),
    # No device waits for it.
    ("request", "XS_READ", "control/shutdown", 8), ("reply", "XS_READ", "control/shutdown", 8),
    ("request", "XS_WRITE", "device/vbd/51728/state", 5), ("request", "XS_WRITE", "device/vbd/51712/state", 6),
    ("reply", "XS_WRITE", "device/vbd/51728/state", 5), ("reply", "XS_WRITE", "device/vbd/51712/state", 6),
    ("request", "XS_READ", "late", 7), ("reply", "XS_READ", "late", 7),
]


@pytest.fixture(scope="module")
def xenbus():
    return benchmark("xenbus")


@pytest.fixture(scope="module")
def suspend():
    return benchmark("suspend")


def benchmark(name):
    sys.path.insert(0, str(BENCH))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(BENCH))


def trace():
    lines = ["# tracer: nop"]
    for place, (kind, *what) in enumerate(EVENTS):
        if kind == "waits":
            lines.append(f"  xpv-bus-88   [000] ..... 341.{place:06}: waits: (xpv_wait_for_completion+0x0/0x60 [xpv_lib])")
            continue
        operation, path, ident = what
        task = "xpv-bus-88  " if kind == "request" else "irq/55-xenstore-228"
        result = " result=0 us=12" if kind == "reply" else ""
        lines.append(f"  {task} [000] d..1.   341.{place:06}: xpv_store_{kind}: transaction=0 "
                     f"operation={operation} path={path}{result} id={ident}")
    return "\n".join(lines)


def step(task, kind, operation="", ident=""):
    return {"task": task, "kind": kind, "operation": operation, "id": ident}


def test_requests(xenbus):
    """Those of one connection, up to the one that ends it."""
    asked = [(operation, text) for name, operation, text in xenbus.requests(LOG) if name == "0x5581"]
    assert len(asked) == CONNECTED
    asked = xenbus.until_connected(asked, [51712, 51728])
    assert len(asked) == CONNECTED - 1 and asked[-1] == ("WRITE", "device/vbd/51712/state 4")
    assert [xenbus.disk_of(text) for _, text in asked] == [51712, 51728, 51712, 51728, 51712]
    with pytest.raises(SystemExit):
        xenbus.until_connected(asked, [51744])


def test_chains(xenbus):
    """Directory, backend, state, write; for a disk without the first one."""
    assert xenbus.chains(trace(), [51712, 51728]) == (4, 3)
    assert xenbus.steps([]) == 0
    assert xenbus.for_devices([("DIRECTORY", "device "), ("TRANSACTION_START", " "), ("WRITE", "control/feature-suspend 1")]) == 2
    with pytest.raises(SystemExit):
        xenbus.chains(trace(), [51744])
    with pytest.raises(SystemExit):
        xenbus.chains("\n".join(line for line in trace().splitlines() if "waits" not in line), [51712])


def test_what_waits(xenbus):
    """A request that its task makes before it waits is no step further, whatever was answered meanwhile."""
    first, answer = step("1", "request", "XS_READ", "a"), step("2", "reply", "XS_READ", "a")
    second = step("3", "request", "XS_READ", "b")
    assert xenbus.steps([first, second, answer, step("2", "reply", "XS_READ", "b")]) == 1
    assert xenbus.steps([first, answer, step("1", "request", "XS_READ", "b")]) == 1
    assert xenbus.steps([first, answer, step("1", "waits"), step("1", "request", "XS_READ", "b")]) == 2
    assert xenbus.steps([first, answer, step("2", "waits"), step("1", "request", "XS_READ", "b")]) == 1
    # It may have been told by the one who got the answer.
    assert xenbus.steps([first, answer, second]) == 2
    assert xenbus.steps([first, answer, step("1", "request", "XS_WRITE", "b")]) == 2


def test_kinds(tmp_path):
    """What the counter wrote, by measure; and it has to know what is known."""
    counting = benchmark("counting")
    line = "{} 512 instructions {} 1 locked {} 0 fences {} 0"
    log = tmp_path / "counted"
    log.write_text("\n".join(["of another measure", line.format(1, 5, 1, 0), line.format(2, 9, 3, 1),
                              line.format(3, 25, 2, 0)]) + "\n")
    assert counting.by_kind(log, 1, ["empty", "known", "grant"])["grant"] == {"instructions": 20, "locked": 1, "fences": 0}
    with pytest.raises(SystemExit):
        counting.by_kind(log, 1, ["empty", "known"])
    with pytest.raises(SystemExit):
        counting.by_kind(log, 1, ["known", "empty", "grant"])


PROBED = """\
 kworker-7 [000] d..1. 1000: suspend_resume: syscore_suspend[0] begin
 kworker-7 [000] d..1. 1500: suspend_resume: syscore_suspend[0] end
 kworker-7 [000] d..1. 3000: entering: (xen_arch_pre_suspend+0x0/0x60)
 kworker-7 [000] d..1. 90000: returned: (xen_arch_post_suspend+0x0/0x60)
 kworker-7 [000] d..1. 90100: suspend_resume: syscore_resume[0] begin
 kworker-7 [000] d..1. 94000: suspend_resume: syscore_resume[0] end
 kworker-7 [000] ..... 99000: suspend_resume: thaw_processes[0] begin
"""


def test_interrupts_off(suspend):
    """Up to the hypercall and after it, from both sources."""
    assert suspend.probed(PROBED, khz=1000) == (6, 6)
    assert suspend.recorded("barrier down\nstopped 1000000\nentering 2000000\nreturned 70000000\n"
                            "early_done 71000000\ncpus_back 72000000\nlate 75000000\ndone 99000000\n") == (3, 2)


def test_requests_of_the_restored_guest(suspend):
    """The connection that says that the disks are connected, whatever its name."""
    assert len(suspend.of_guest(suspend.xenbus.requests(LOG), [51712, 51728])) == CONNECTED - 1
    with pytest.raises(SystemExit):
        suspend.of_guest(suspend.xenbus.requests(LOG), [51744])


def traced(event, time=None, *words):
    """A record as Xen writes it."""
    head = event | len(words) << 28 | (time is not None) << 31
    return struct.pack(f"<{1 + len(words)}I", head, *words) if time is None else struct.pack(
        f"<IQ{len(words)}I", head, time, *words)


def test_hypercalls_before_a_block_was_read(suspend):
    """In the order of time, whichever CPU's part of the trace comes first.
    Only a vCPU's exits and entries have a time."""
    xentrace = suspend.xentrace

    def cpu(number):
        return traced(xentrace.CPU_CHANGE, None, number, 100)

    def exit(time):
        return traced(0x81002, time, 0x81)

    hypercall = traced(xentrace.VMMCALL, None, 29)
    marked = traced(xentrace.CPUID, None, suspend.MARK, 0, 1, 2, 3, 4)
    trace = (cpu(0) + exit(10) + hypercall + exit(40) + cpu(1) + exit(20) + hypercall + exit(25) +
             traced(xentrace.CPUID, None, 0, 0, 1, 2, 3, 4) + cpu(0) + marked + cpu(1) + exit(2 ** 32) + hypercall)
    assert suspend.hypercalls(trace) == 2
    with pytest.raises(SystemExit):
        suspend.hypercalls(cpu(0) + exit(10) + hypercall)
    with pytest.raises(SystemExit):
        suspend.hypercalls(traced(xentrace.LOST_RECORDS, 1, 1, 0, 0, 0) + trace)


def test_slope(suspend):
    a, b = suspend.slope({1: 12, 2: 14, 4: 18})
    assert (round(a, 6), round(b, 6)) == (10, 2)


INTERRUPTS = """\
            CPU0       CPU1
  44:         90         10   xen-dyn-lateeoi      vif1-q0-tx
  45:          5          0   xen-dyn-lateeoi      vif1-q0-rx
  46:          7          1   xpv-event   12  vif1-q1-rx
  47:       1000          0   xen-dyn-lateeoi      vif11-q0-tx
  48:          3          0   xen-dyn-lateeoi      vif1.0-q0-tx
 HYP:       9999       9999   Hypervisor callback interrupts
"""


def test_interrupts_of_an_interface():
    """Of all its queues and CPUs, and of no other."""
    netguest = benchmark("netguest")
    assert netguest.interrupts(INTERRUPTS, "vif1") == 113
    assert netguest.interrupts(INTERRUPTS, "vif1.0") == 3
    with pytest.raises(SystemExit):
        netguest.interrupts(INTERRUPTS, "vif2")


def test_features_of_interfaces(capsys):
    """Those that are not equal end the benchmark."""
    netguest = benchmark("netguest")
    assert netguest.keys('/a/b/feature-sg = "1"\n/a/b/script = ""\n') == {"/a/b/feature-sg": "1", "/a/b/script": ""}
    netguest.check_equal({"mtu": "1500"}, {"mtu": "1500"})
    assert "| mtu | 1500 | 1500 |" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        netguest.check_equal({"mtu": "1500"}, {"mtu": "1500", "queues": "2"})


def test_packets_of_a_burst():
    """A packet's part, and the steps of string instructions apart."""
    netcounts = benchmark("netcounts")
    kinds = {"instructions": 6400, "locked": 64, "fences": 0, "hypercalls": 1, "entries": 2, "steps": 3200, "xen": 9}
    assert netcounts.per_packet(kinds, 32) == {"instructions": 100, "locked": 2, "fences": 0, "hypercalls": 1 / 32,
                                               "entries": 1 / 16, "steps": 100}
    found = {**netcounts.per_packet(kinds, 32), "notifications": None, "interrupts": 0, "events": 5}
    lines = list(netcounts.rows(netcounts.CASES[0], found, found, {**found, "locked": 1, "events": 0}))
    assert len(lines) == 5 and all(line.count("|") == 4 + len(netcounts.COLUMNS) for line in lines)
    assert lines[-1].split("|")[4:6] == [" 1.00 ", " 0.50 "]


def test_ratios_of_rounds():
    nettraffic = benchmark("nettraffic")
    assert nettraffic.ratios([2, 9, 8], [4, 6, 8]) == "1.00 (0.50 to 1.50)"
    assert nettraffic.ratios([1], [0]) == ""
    assert len({str(case) for case in nettraffic.CASES}) == len(nettraffic.CASES)
