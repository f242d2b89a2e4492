# SPDX-License-Identifier: GPL-2.0-only
"""The soak's bookkeeping: what was done stays done, and a failure stays one."""

import importlib.util

import pytest

from conftest import ROOT

_spec = importlib.util.spec_from_file_location("soak_tally", ROOT / "tests/lab/xpvlab/tally.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
Tally = _module.Tally

SUBJECT = {"kernel": "6.12", "vcpus": 4, "modules": "abc"}
TARGETS = {"a": 4, "b": 2}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "soak" / "state.json"


def test_kinds_alternate_until_all_are_done(file):
    tally = Tally(file, SUBJECT, TARGETS)
    order = []
    while not tally.complete:
        order.append(tally.next())
        tally.passed(order[-1], 1, 10)
    assert tally.next() is None
    assert sorted(order) == ["a"] * 4 + ["b"] * 2
    assert "b" in order[:3] and order[-1] in ("a", "b") and "b" in order[3:]
    assert tally.exit_code() == 0


def test_goes_on_where_it_stopped(file):
    first = Tally(file, SUBJECT, TARGETS)
    assert not first.gone_on
    first.passed("a", 60, 1500)
    first.passed("b", 60, 20)
    first.fault("a 2", "the emulator", "/logs/1")
    second = Tally(file, SUBJECT, TARGETS)
    assert second.gone_on and not second.complete
    assert (second.done("a"), second.left("a"), second.left("b"), second.faults) == (1, 3, 1, 1)
    second.passed("a", 60, 700)
    text = "\n".join(second.summary())
    assert "a: 2 of 4 rounds, longest standstill 1500 ms" in text
    assert "3 minutes of rounds, 0 failures, 1 emulator faults" in text and "/logs/1" in text
    assert second.exit_code() == 0


def test_targets_may_change(file):
    Tally(file, SUBJECT, TARGETS).passed("a", 1, 1)
    assert Tally(file, SUBJECT, {"a": 1, "b": 0}).complete
    assert Tally(file, SUBJECT, {"a": 3, "b": 0}).left("a") == 2
    assert Tally(file, SUBJECT, {"a": 0, "b": 0}).left("a") == 0


@pytest.mark.parametrize("change", [{"kernel": "6.1"}, {"vcpus": 2}, {"modules": "def"}])
def test_another_subject_starts_anew(file, change):
    Tally(file, SUBJECT, TARGETS).passed("a", 1, 1)
    other = Tally(file, SUBJECT | change, TARGETS)
    assert not other.gone_on and other.done("a") == 0
    assert (file.parent / "state.json.old").exists() and not file.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"subject": null}'])
def test_a_file_that_is_no_state_is_put_aside(file, text):
    file.parent.mkdir()
    file.write_text(text)
    tally = Tally(file, SUBJECT, TARGETS)
    assert not tally.gone_on and tally.left("a") == 4
    assert (file.parent / "state.json.old").read_text() == text


def test_a_failure_stays(file):
    first = Tally(file, SUBJECT, TARGETS)
    first.passed("a", 1, 1)
    first.failed("b 1", "first line\nsecond", "/logs/7")
    first.passed("b", 1, 1)
    again = Tally(file, SUBJECT, TARGETS)
    assert again.failures == 1 and again.exit_code() == 1 and again.done("b") == 1
    assert "  failure during b 1: first line; logs: /logs/7" in again.summary()


def test_faults_are_no_failures_and_nothing_done_is_no_success(file):
    tally = Tally(file, SUBJECT, TARGETS)
    assert tally.exit_code() == 3
    tally.fault("boot", "", "/logs/1")
    assert tally.exit_code() == 3 and tally.failures == 0
    tally.passed("a", 1, 1)
    assert tally.exit_code() == 0


def test_never_half_a_file(file):
    """What is written is complete before it takes the old one's place."""
    tally = Tally(file, SUBJECT, TARGETS)
    tally.passed("a", 1, 1)
    before = file.read_text()
    tally._state["failures"].append(object())       # cannot be written
    with pytest.raises(TypeError):
        tally.passed("a", 1, 1)
    assert file.read_text() == before
