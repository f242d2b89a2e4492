# SPDX-License-Identifier: GPL-2.0-only
"""How the benchmarks read logs and traces."""

import importlib.util
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "bench" / "xenbus.py"

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
    ("request", "XS_DIRECTORY", "device", 1), ("reply", "XS_DIRECTORY", "device", 1),
    # Two at once are one step.
    ("request", "XS_READ", "device/vbd/51712/backend", 2), ("request", "XS_READ", "device/vbd/51728/backend", 3),
    ("reply", "XS_READ", "device/vbd/51728/backend", 3), ("reply", "XS_READ", "device/vbd/51712/backend", 2),
    ("request", "XS_READ", "/local/domain/0/backend/vbd/3/51712/state", 4),
    ("reply", "XS_READ", "/local/domain/0/backend/vbd/3/51712/state", 4),
    ("request", "XS_WRITE", "device/vbd/51728/state", 5), ("request", "XS_WRITE", "device/vbd/51712/state", 6),
    ("reply", "XS_WRITE", "device/vbd/51728/state", 5), ("reply", "XS_WRITE", "device/vbd/51712/state", 6),
    ("request", "XS_READ", "late", 7), ("reply", "XS_READ", "late", 7),
]


@pytest.fixture(scope="module")
def xenbus():
    spec = importlib.util.spec_from_file_location("bench_xenbus", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def trace():
    lines = ["# tracer: nop"]
    for place, (kind, operation, path, ident) in enumerate(EVENTS):
        result = " result=0 us=12" if kind == "reply" else ""
        lines.append(f"  xpv-bus-88   [000] d..1.   341.{place:06}: xpv_store_{kind}: transaction=0 "
                     f"operation={operation} path={path}{result} id={ident}")
    return "\n".join(lines)


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
    assert xenbus.steps([("request", 1), ("request", 2), ("reply", 1), ("reply", 2)]) == 1
    assert xenbus.steps([]) == 0
    with pytest.raises(SystemExit):
        xenbus.chains(trace(), [51744])


def test_kinds(tmp_path, monkeypatch):
    """What the counter wrote, by measure; and it has to know what is known."""
    monkeypatch.syspath_prepend(str(SOURCE.parent))
    spec = importlib.util.spec_from_file_location("bench_run", SOURCE.parent / "run.py")
    run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    line = "{} 512 instructions {} 1 locked {} 0 fences {} 0"
    log = tmp_path / "counted"
    log.write_text("\n".join(["of another measure", line.format(1, 5, 1, 0), line.format(2, 9, 3, 1),
                              line.format(3, 25, 2, 0)]) + "\n")
    assert run.by_kind(log, 1, ["empty", "known", "grant"])["grant"] == {"instructions": 20, "locked": 1, "fences": 0}
    with pytest.raises(SystemExit):
        run.by_kind(log, 1, ["empty", "known"])
    with pytest.raises(SystemExit):
        run.by_kind(log, 1, ["known", "empty", "grant"])
