# SPDX-License-Identifier: GPL-2.0-only
"""The tests that the documentation names are there."""

import re

import pytest

from conftest import ROOT


def missing(text):
    """The names of tests in a document's `code` that no file of tests has."""
    host = "".join(path.read_text() for path in sorted((ROOT / "tests/host").glob("*_test.cc")))
    found = []
    for name in re.findall(r"`([^`\n]+)`", text):
        if match := re.fullmatch(r"(test_\w+\.py)::(test_\w+)", name):
            path = ROOT / "tests/lab" / match[1]
            there = path.exists() and f"def {match[2]}(" in path.read_text()
        elif match := re.fullmatch(r"([A-Z]\w+)\.([A-Z]\w+)", name):
            there = re.search(rf"\bTEST(_F|_P)?\({match[1]}, {match[2]}\)", host)
        elif match := re.fullmatch(r"(\w+): (\w+)", name):
            suites = "".join(path.read_text() for path in sorted((ROOT / "tests/kunit").glob(f"{match[1]}_kunit*.c")))
            there = re.search(rf"KUNIT_CASE\w*\({match[2]}\b", suites)
        else:
            continue
        if not there:
            found.append(name)
    return found


@pytest.mark.parametrize("document", ["hostile-backends.md", "suspend.md", "testing.md"])
def test_named_tests_are_there(document):
    text = (ROOT / "docs" / document).read_text()
    assert "::test_" in text
    assert missing(text) == []


def test_a_name_too_many_is_found():
    wrong = ["test_xpv_disk.py::test_nothing", "test_none.py::test_disk", "Suspend.Nothing", "suspend: nothing"]
    assert missing("".join(f"`{name}` and " for name in wrong) + "`xl save` `test_xpv_disk.py::test_disk`") == wrong
