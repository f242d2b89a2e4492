# SPDX-License-Identifier: GPL-2.0-only
"""Progress lines for slow steps, and running commands that log to a file."""

import contextlib
import os
import subprocess
import sys
import threading
import time

from .errors import LabError

_quiet = False


def quiet(on=True):
    global _quiet
    _quiet = on


def say(text):
    if not _quiet:
        print(f"lab: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(text, every=15):
    """Announce a slow step, say every few seconds that it still runs, and
    how long it took."""
    say(f"{text} ...")
    start = time.monotonic()
    done = threading.Event()

    def tick():
        while not done.wait(every):
            say(f"{text} ... {time.monotonic() - start:.0f} s")

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    say(f"{text}: done in {time.monotonic() - start:.1f} s")


def run_logged(argv, log, cwd=None, env=None):
    """Run a command with its output in a file; show the tail if it fails."""
    full_env = dict(os.environ, **(env or {}))
    with open(log, "ab") as out:
        out.write(f"+ {' '.join(map(str, argv))}\n".encode())
        out.flush()
        child = subprocess.Popen(list(map(str, argv)), cwd=cwd, env=full_env,
                                 stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            status = child.wait()
        finally:
            if child.poll() is None:      # interrupted: let it clean up first
                child.terminate()
                child.wait()
    if status:
        with open(log, "rb") as text:
            tail = text.read()[-3000:].decode(errors="replace")
        raise LabError(f"{argv[0]} failed with status {status}; end of {log}:\n{tail}")
