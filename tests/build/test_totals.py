# SPDX-License-Identifier: GPL-2.0-only
"""The totals of a test run count every failure, also those that no case reports."""

import importlib.machinery
import importlib.util

import pytest

from conftest import ROOT

PYTEST = """<testsuites><testsuite tests="4">
<testcase classname="a" name="good"/>
<testcase classname="a" name="bad"><failure message="m"/></testcase>
<testcase classname="a" name="broken"><error message="m"/></testcase>
<testcase classname="a" name="left out"><skipped message="m"/></testcase>
</testsuite></testsuites>"""
CTEST = """<testsuite tests="3">
<testcase classname="b" name="good" status="run"/>
<testcase classname="b" name="bad" status="fail"><failure message=""/></testcase>
<testcase classname="b" name="left out" status="disabled"/>
</testsuite>"""
CLEAN = '<testsuite tests="1"><testcase classname="c" name="good"/></testsuite>'


@pytest.fixture
def runner(tmp_path):
    loader = importlib.machinery.SourceFileLoader("tests_run", str(ROOT / "tests/run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tests_run", loader))
    loader.exec_module(module)
    module.RESULTS = tmp_path / "results"
    return module


def run(runner, monkeypatch, *steps):
    """Run steps of (shell command, XML it leaves, or None); exit code and summary."""
    made = []
    for number, (shell, xml) in enumerate(steps):
        name = f"{number}.xml"
        path = runner.RESULTS / name
        if xml:
            shell = f"cat > {path} <<'END'\n{xml}\nEND\n{shell}"
        made.append((["sh", "-c", shell], name if xml is not None else None))
    monkeypatch.setattr(runner, "suites", lambda: {"one": made})
    code = runner.main([])
    return code, (runner.RESULTS / "summary").read_text().strip()


def test_counts_each_kind(runner, monkeypatch):
    assert run(runner, monkeypatch, ("exit 1", PYTEST), ("exit 8", CTEST)) == (1, "2 passed, 3 failed, 2 skipped")


def test_cases_of_programs_count_too(runner, monkeypatch):
    """ctest runs programs with several cases, which each write a file of their own."""
    steps = f"mkdir -p {runner.RESULTS}/0; echo '{CLEAN}' >{runner.RESULTS}/0/program.xml"
    assert run(runner, monkeypatch, (f"{steps}; exit 8", CTEST)) == (1, "2 passed, 1 failed, 1 skipped")


def test_all_passed(runner, monkeypatch):
    assert run(runner, monkeypatch, ("true", None), ("true", CLEAN)) == (0, "1 passed, 0 failed, 0 skipped")


def test_failed_command_without_failed_case(runner, monkeypatch):
    assert run(runner, monkeypatch, ("exit 2", CLEAN)) == (1, "1 passed, 1 failed, 0 skipped")


def test_missing_results(runner, monkeypatch):
    assert run(runner, monkeypatch, ("true", "")) == (1, "0 passed, 1 failed, 0 skipped")


def test_failed_preparation_stops_the_suite(runner, monkeypatch):
    assert run(runner, monkeypatch, ("exit 1", None), ("true", CLEAN)) == (1, "0 passed, 1 failed, 0 skipped")


def test_nothing_run_is_not_success(runner, monkeypatch):
    assert run(runner, monkeypatch, ("true", "<testsuite/>")) == (1, "0 passed, 0 failed, 0 skipped")
