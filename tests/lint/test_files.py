# SPDX-License-Identifier: GPL-2.0-only
"""Each file says its license; each commit says what it does."""

import re

import pytest
from conftest import ROOT, run, tracked

LICENSE = "SPDX-License-Identifier: GPL-2.0-only"
# Without a comment to hold the line: data, patches of others' sources, and the license itself.
WITHOUT = re.compile(r"(^|/)(COPYING|\.gitignore)$|\.(patch|json)$|^tests/fuzz/corpus/")
SUBJECT = re.compile(r"[a-z0-9_.-][a-z0-9_./-]*(, [a-z0-9_.-][a-z0-9_./-]*)*: [a-z]\S*( \S+)*[^.\s]")
# Not what a commit does, but what it did, or what it is doing.
NOT_IMPERATIVE = re.compile(r": (?!(need|feed|shed|seed|embed|speed|ping|ring|bring|string)\b)"
                            r"(\w+ed|\w+ing|adds|changes|fixes|lets|makes|moves|removes|updates|uses)\b")
LONGEST = 75


def without_license(*paths):
    """Those that do not say it in their first lines."""
    found = []
    for path in paths:
        with open(ROOT / path, encoding="utf-8") as file:
            if LICENSE not in "".join(file.readline() for _ in range(4)):
                found.append(str(path))
    return found


def test_licenses():
    assert without_license(*(path for path in tracked() if not WITHOUT.search(path))) == []


def test_missing_license_is_found(tmp_path):
    (tmp_path / "fault.c").write_text("/* no license */\n")
    assert without_license(tmp_path / "fault.c")


def objections(subject):
    """Why this is no "area: imperative what"."""
    found = []
    if not SUBJECT.fullmatch(subject):
        found.append("not \"area: what\", in lower case and without a full stop")
    if NOT_IMPERATIVE.search(subject):
        found.append("not imperative")
    if len(subject) > LONGEST:
        found.append(f"longer than {LONGEST} characters")
    return found


def test_commit_subjects():
    """Those after the commit that brought this rule, the last 20 at most."""
    _, rule = run("git", "log", "--diff-filter=A", "--format=%H", "--", "tests/lint/test_files.py")
    if not rule.split():
        pytest.skip("the rule itself is not committed, or this is no clone of git")
    _, log = run("git", "log", "--no-merges", "-20", "--format=%h %s", f"{rule.split()[-1]}..HEAD")
    bad = [f"{line}: {', '.join(why)}" for line in log.splitlines() if (why := objections(line.split(" ", 1)[1]))]
    assert not bad


@pytest.mark.parametrize("subject", [
    "Add lint", "lint: Add checks", "lint: adds checks", "lint: added checks", "lint: add checks.", "lint:add checks",
    "tests/lint: " + "add " * 16 + "checks",
])
def test_bad_subject_is_found(subject):
    assert objections(subject)


@pytest.mark.parametrize("subject", [
    "xenbus: quiesce bus scans and device transitions before suspend", "tests/kunit, lib: bring back the hog",
    ".ci: run lint first", "docs/events: list the reasons for a mask",
])
def test_good_subject_passes(subject):
    assert not objections(subject)
