# SPDX-License-Identifier: GPL-2.0-only
"""clang-format and clang-tidy over the C and C++."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import ROOT, cxx_sources, run

DATABASE = ROOT / "build/host/compile_commands.json"
# gcc's warnings are not clang's; clang 14 wants an initializer where constinit says that there is none to run.
TIDY = ["clang-tidy", "-p", DATABASE.parent, "--quiet", "--extra-arg=-Wno-everything", "--extra-arg=-Dconstinit="]


def test_format():
    code, output = run("clang-format", "--dry-run", "-Werror", "--ferror-limit=1", *cxx_sources())
    assert code == 0, "run \"make format\":\n" + "\n".join(line for line in output.splitlines() if "error:" in line)


@pytest.fixture(scope="module")
def database():
    """The host's compile commands, without the programs over googletest, which take most of the time."""
    code, output = run("cmake", "-G", "Ninja", "-S", "tests/host", "-B", "build/host")
    assert code == 0, output
    files = [entry["file"] for entry in json.loads(DATABASE.read_text())]
    return [file for file in files if not file.endswith(("_test.cc", ".hxx.cxx")) and os.path.exists(file)]


def test_clang_tidy(database):
    assert len(database) > 50
    parts = [database[start::16] for start in range(16)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda files: run(*TIDY, *files), parts))
    faults = sorted({line for _, output in results for line in output.splitlines() if " error: " in line})
    assert not faults
    assert all(code == 0 for code, _ in results), "\n".join(output for code, output in results if code)


@pytest.mark.parametrize("fault, check", [
    ("int *none(int *p) { return p ? p : 0; }", "modernize-use-nullptr"),
    ("#include <utility>\nint twice(S s) { S t = std::move(s); return t.x() + s.x(); }", "bugprone-use-after-move"),
    ("int f(int x) { if (x) return 1; else return 1; }", "bugprone-branch-clone"),
])
def test_clang_tidy_finds_a_fault(tmp_path, fault, check):
    shutil.copy(ROOT / ".clang-tidy", tmp_path)
    source = tmp_path / "fault.cc"
    source.write_text("struct S { S() = default; S(S &&) = default; int x() const { return y; } int y = 0; };\n" + fault)
    code, output = run("clang-tidy", "--quiet", source, "--", "-std=gnu++20")
    assert code and check in output


def test_clang_format_finds_a_fault(tmp_path):
    shutil.copy(ROOT / ".clang-format", tmp_path)
    source = tmp_path / "fault.cc"
    source.write_text("int f(int x)\n{\n    return x;\n}\n")
    code, output = run("clang-format", "--dry-run", "-Werror", source)
    assert code and "Wclang-format-violations" in output
