# SPDX-License-Identifier: GPL-2.0-only
"""Waiting for what will come, in Python and in the shell of a machine."""

import time

from .errors import LabError


def until(condition, seconds=60):
    """Until `condition()` is true; raises LabError if that takes longer."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise LabError(f"not in {seconds} s")
        time.sleep(0.5)


def shell_until(condition, seconds=60):
    """Commands for bash, without a newline, that wait until the command
    `condition` succeeds; the whole script fails if that takes longer."""
    return f"end=$((SECONDS + {seconds})); until {condition}; do sleep 0.2; [ $SECONDS -lt $end ] || exit 1; done"


def wait_until(machine, condition, seconds=60):
    """Until the shell command `condition` succeeds in that guest or dom0;
    raises CommandFailed if that takes longer."""
    machine.run(shell_until(condition, seconds), timeout=seconds + 120)
