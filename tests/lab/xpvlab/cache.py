# SPDX-License-Identifier: GPL-2.0-only
"""Slow results, cached outside the source tree.

An entry is a directory NAME-HASH, HASH being that of everything the result
depends on. It is built under a lock in a scratch directory and renamed into
place, so an entry that exists is complete, and any number of runs can share
it. Entries are never changed afterwards.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

from .progress import say


def root():
    base = os.environ.get("XPV_CACHE") or os.path.join(
        os.path.expanduser("~"), ".cache", "xpv")
    path = Path(base)
    path.mkdir(parents=True, exist_ok=True)
    return path


def digest(inputs):
    """Hash of a dict of inputs; a Path stands for the file's content."""
    total = hashlib.sha256()
    for key in sorted(inputs):
        value = inputs[key]
        data = value.read_bytes() if isinstance(value, Path) else str(value).encode()
        total.update(f"{key}:{len(data)}:".encode())
        total.update(data)
    return total.hexdigest()[:16]


@contextlib.contextmanager
def lock(name):
    path = root() / "locks" / name
    path.parent.mkdir(exist_ok=True)
    with open(path, "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another run is building {name}; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def entry(name, inputs, build):
    """The cache entry for these inputs; build(directory) makes it if there
    is none yet."""
    final = root() / f"{name}-{digest(inputs)}"
    if not final.is_dir():
        with lock(name):
            if not final.is_dir():
                scratch = root() / f"tmp-{name}-{os.getpid()}-{time.time_ns()}"
                scratch.mkdir()
                try:
                    build(scratch)
                    (scratch / "inputs.txt").write_text("".join(
                        f"{k}: {v}\n" for k, v in sorted(inputs.items())))
                    os.rename(scratch, final)
                finally:
                    remove_tree(scratch)
    os.utime(final)
    return final


def remove_tree(path):
    """Remove a tree, unless something is still mounted in it."""
    path = Path(path)
    if not path.exists():
        return
    with open("/proc/self/mounts") as mounts:
        inside = [l.split()[1] for l in mounts if l.split()[1].startswith(f"{path}/")]
    for mount in reversed(inside):
        subprocess.run(["umount", mount], check=True)
    shutil.rmtree(path)
