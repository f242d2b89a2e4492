# SPDX-License-Identifier: GPL-2.0-only
"""docs/troubleshooting.md has each error and warning that a module can log, and no line that none logs."""

import re

from conftest import ROOT

FOLDERS = ("hypervisor", "evtchn", "gnttab", "xenbus", "blkfront", "netfront", "suspend")
CALL = re.compile(r'\b(XPV_(?:ERR|WARNING|NOTICE|INFO)(?:_LIMITED)?|pr_(?:err|warn|notice|info)(?:_ratelimited)?)'
                  r'\(\s*(?:KBUILD_MODNAME\s*)?((?:"(?:\\.|[^"\\])*"\s*)+)')
CONVERSION = re.compile(r"%(?:\.\*|[-+ #0-9.])*(?:hh|h|ll|l|z)?[a-zA-Z]+?(?<=[diouxXcsp])(?:[eSUhb]\b)?")
MUST = ("XPV_ERR", "XPV_WARNING", "pr_err", "pr_warn")
# Of several parts: what it is of says more than it does.
NO_LINE = {"  %pS"}


def formats(text):
    """(macro, format) of the log lines in a source."""
    found = []
    for macro, literals in CALL.findall(text):
        line = "".join(re.findall(r'"((?:\\.|[^"\\])*)"', literals)).replace('\\"', '"')
        found.append((macro, line.removesuffix("\\n").removeprefix(": ")))
    return found


def pattern(line):
    """A regular expression for what the format prints, with anything in place of its values."""
    return ".*".join(re.escape(part) for part in CONVERSION.split(line))


def logged():
    return [pair for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*"))
            if path.suffix in (".c", ".cc", ".hh") for pair in formats(path.read_text())]


def documented():
    """What the first columns of the tables have as `code`."""
    rows = [line.split(" | ")[0] for line in (ROOT / "docs/troubleshooting.md").read_text().splitlines()
            if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def missing(lines, document):
    return [line for macro, line in lines if macro.startswith(MUST) and line not in NO_LINE
            and not any(re.fullmatch(pattern(line), name) for name in document)]


def test_each_line_is_documented():
    assert missing(logged(), documented()) == []


def test_no_other_line_is_documented():
    known = [pattern(line) for _, line in logged()]
    assert [name for name in documented() if not any(re.fullmatch(one, name) for one in known)] == []


def test_a_line_too_many_is_found():
    source = 'XPV_ERR_LIMITED("%s: no such \\"%.32s\\" in %llu "\n\t\t"ms", a, b, c);\npr_warn("low on %pe\\n", e);'
    lines = formats(source)
    assert [line for _, line in lines] == ['%s: no such "%.32s" in %llu ms', "low on %pe"]
    assert missing(lines, []) == [line for _, line in lines]
    assert missing(lines, ['vbd: no such "x" in N ms', "low on N"]) == []
