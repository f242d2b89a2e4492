# SPDX-License-Identifier: GPL-2.0-only
"""shellcheck over the shell scripts, ruff over the Python."""

import json
import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT, python_sources, run, shell_scripts

HERE = Path(__file__).resolve().parent
# busybox's ash is checked as dash; "a= b=" clears two variables.
SHELLCHECK = ["shellcheck", "-S", "warning", "-e", "SC2187,SC1007"]


@pytest.mark.parametrize("script", shell_scripts())
def test_shell(script):
    code, output = run(*SHELLCHECK, script)
    assert code == 0, output


def test_shellcheck_finds_a_fault(tmp_path):
    (tmp_path / "fault").write_text("#!/bin/sh\nwrong=1\nfor file in $(ls); do rm $wron/$file; done\n")
    code, output = run(*SHELLCHECK, tmp_path / "fault")
    assert code and "SC2154" in output


@pytest.fixture(scope="session")
def ruff():
    """A function that lints files. Debian 12 has no ruff: the build for node comes from npm, once, as locked."""
    cache = Path(os.environ.get("XPV_CACHE") or Path.home() / ".cache/xpv")
    lock = json.loads((HERE / "package-lock.json").read_text())
    version = lock["packages"][""]["dependencies"]["@astral-sh/ruff-wasm-nodejs"]
    place = cache / f"ruff-{version}"
    if not (place / "done").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, place)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=place, check=True)
        (place / "done").touch()
    options = json.dumps(tomllib.loads((ROOT / "ruff.toml").read_text()))
    return lambda *files: run("node", HERE / "ruff.mjs", place / "node_modules", options, *files)


def test_python(ruff):
    code, output = ruff(*python_sources())
    assert code == 0, output


def test_ruff_finds_a_fault(ruff, tmp_path):
    (tmp_path / "fault.py").write_text("import os\n\nprint(undefined)\n")
    code, output = ruff(tmp_path / "fault.py")
    assert code == 1 and "F401" in output and "F821" in output
