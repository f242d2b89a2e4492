# SPDX-License-Identifier: GPL-2.0-only
"""The runner calls a bad run bad, whatever is wrong with it."""

import pytest

import kernel
import run

GOOD = """\
[    0.100000] Linux version 6.12
[    1.000000] xpv-kunit: processors 2
[    2.000000] xpv-kunit: begin lib
[    2.100000] KTAP version 1
[    2.100000] 1..1
[    2.100000]     KTAP version 1
[    2.100000]     # Subtest: xpv_lib
[    2.100000]     # module: xpv_lib_kunit
[    2.100000]     1..3
[    2.200000]     ok 1 first
[    2.250000] some driver says hello
[    2.300000]     ok 2 second # SKIP no such thing here
[    2.350000]     ok 3 third
[    2.400000] # xpv_lib: pass:2 fail:0 skip:1 total:3
[    2.400000] # Totals: pass:2 fail:0 skip:1 total:3
[    2.400000] ok 1 xpv_lib
[    2.500000] xpv-kunit: end lib
[    9.000000] xpv-kunit: done
"""


@pytest.fixture(scope="module")
def tree():
    return kernel.get()


def outcomes(tree, text, suites=("lib",), complete=True):
    cases = run.judge(tree, suites, text, complete)
    return {(case.suite, case.name): case.outcome for case in cases}


def test_good_run(tree):
    assert outcomes(tree, GOOD) == {
        ("lib", "first"): "passed", ("lib", "second"): "skipped", ("lib", "third"): "passed",
        ("lib", "kernel log"): "passed", ("kernel", "kernel log"): "passed"}


@pytest.mark.parametrize("old, new", [
    ("    ok 3 third", "    # third: EXPECTATION FAILED at x.c:1\n    not ok 3 third"),
    ("    ok 3 third\n", ""),
    ("ok 1 xpv_lib", "not ok 1 xpv_lib"),
    ("some driver says hello", "WARNING: CPU: 0 PID: 1 at kernel/x.c:1 f+0x1/0x2"),
    ("some driver says hello", "BUG: KASAN: slab-use-after-free in f+0x1/0x2"),
    ("some driver says hello", "BUG: sleeping function called from invalid context at x.c:1"),
    ("some driver says hello", "WARNING: possible circular locking dependency detected"),
    ("some driver says hello", "INFO: task x:1 blocked for more than 120 seconds."),
    ("Linux version 6.12", "BUG: unable to handle page fault for address: 0"),
    ("xpv-kunit: end lib", "xpv-kunit: cannot unload module xpv_lib\n[    2.5] xpv-kunit: end lib"),
    ("xpv-kunit: end lib", "xpv_lib_kunit: Unknown symbol xpv_alloc (err -2)\n[    2.5] xpv-kunit: end lib"),
    ("xpv-kunit: end lib", ""),
    ("xpv-kunit: done", "xpv-kunit: unreferenced object 0xffff (size 8):\n[    9.1] xpv-kunit: done"),
    ("xpv-kunit: begin lib", ""),
    ("processors 2", "processors 1"),
])
def test_bad_run(tree, old, new):
    assert old in GOOD
    assert "failed" in outcomes(tree, GOOD.replace(old, new)).values()


def test_suite_without_cases(tree):
    empty = "\n".join(line for line in GOOD.splitlines() if "xpv-kunit" in line)
    assert "failed" in outcomes(tree, empty).values()


def test_suite_that_was_not_started(tree):
    assert outcomes(tree, GOOD, ("lib", "gnttab"))[("gnttab", "(suite)")] == "failed"


def test_guest_that_did_not_end(tree):
    assert outcomes(tree, GOOD, complete=False)[("kernel", "kernel log")] == "failed"


def test_each_run_of_a_suite_counts(tree):
    both = GOOD.replace(" lib", " evtchn_2level")
    cases = outcomes(tree, both, ("evtchn",))
    assert cases[("evtchn_2level", "first")] == "passed"
    assert cases[("evtchn_fifo", "(suite)")] == "failed"
