# SPDX-License-Identifier: GPL-2.0-only
"""What the lint suite looks at: the files that git knows, by language."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*command, **options):
    """Exit code and whole output of a command, run at the top of the project."""
    done = subprocess.run([str(part) for part in command], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **options)
    return done.returncode, done.stdout


def tracked(*patterns):
    """Paths in the project of the files in git, and of those that are new and not ignored."""
    listed = subprocess.check_output(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--",
                                      *patterns], cwd=ROOT, text=True)
    return sorted({path for path in listed.split("\0") if path and (ROOT / path).is_file()})


def interpreter(path):
    """The first line of a script, or an empty string."""
    with open(ROOT / path, "rb") as file:
        line = file.readline(80)
    return line.decode(errors="replace").strip() if line.startswith(b"#!") else ""


def cxx_sources():
    """C and C++ that clang-format lays out. The macros of trace events have a layout of their own."""
    return [path for path in tracked("*.c", "*.cc", "*.h", "*.hh") if not path.endswith("/trace.h")]


def shell_scripts():
    return [path for path in tracked() if interpreter(path).endswith(("/sh", "/bash", "busybox sh"))]


def python_sources():
    return [path for path in tracked() if path.endswith(".py") or interpreter(path).endswith("python3")]
