#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Stop xenstored (in C) at a line of its log, and let it go on later.

    storestall.py LOG SECONDS PATTERN...

"ready"; then the first line that matches the last pattern, after lines that
matched those before it, when xenstored has been stopped;
then "on", when it goes on.
"""

import os
import re
import signal
import subprocess
import sys
import time

PATIENCE = 300


def line_of(log, patterns):
    end, rest = time.monotonic() + PATIENCE, ""
    while time.monotonic() < end:
        *lines, rest = (rest + log.read()).split("\n")
        for line in lines:
            if not patterns[0].search(line):
                continue
            patterns.pop(0)
            if not patterns:
                return line
        time.sleep(0.001)
    sys.exit(f"no such line in {PATIENCE} s")


def main(path, seconds, *patterns):
    daemon = int(subprocess.check_output(["pidof", "xenstored"]))
    with open(path, errors="replace") as log:
        log.seek(0, os.SEEK_END)
        print("ready", flush=True)
        line = line_of(log, [re.compile(pattern) for pattern in patterns])
    os.kill(daemon, signal.SIGSTOP)
    try:
        print(line, flush=True)
        time.sleep(float(seconds))
    finally:
        os.kill(daemon, signal.SIGCONT)
    print("on", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
