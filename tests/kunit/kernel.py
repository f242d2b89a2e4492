# SPDX-License-Identifier: GPL-2.0-only
"""The kernel that the KUnit suites run in: built once, kept in a cache.

The cache is $XPV_CACHE, or ~/.cache/xpv. A kernel's directory is named after
a hash of all that goes into it, appears complete or not at all, and is never
changed afterwards: several runs can use it at once.
"""

import contextlib
import fcntl
import glob
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONFIG = HERE / "kernel.config"
SOURCE = Path("/usr/src/linux-source-6.12.tar.xz")
# Of a built tree only what it takes to build modules is kept: these folders
# lose their sources, and all but the tools their objects. Kconfig and make
# files stay, so that the modules can also be built as a part of the tree.
WITHOUT_SOURCES = ("drivers", "fs", "net", "sound", "samples", "crypto", "block")


def cache_directory():
    path = Path(os.environ.get("XPV_CACHE") or Path.home() / ".cache" / "xpv")
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def locked(path):
    """Hold a file lock, so that two runs do not build the same thing."""
    with open(path, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another run to release {path}", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def input_hash():
    digest = hashlib.sha256()
    digest.update(CONFIG.read_bytes())
    digest.update(Path(__file__).read_bytes())
    source = SOURCE.stat()
    digest.update(f"{source.st_size} {source.st_mtime_ns}".encode())
    digest.update(subprocess.check_output(["gcc", "--version"]))
    return digest.hexdigest()[:16]


def run(command, log, **options):
    with open(log, "ab") as output:
        try:
            subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=True, **options)
        except subprocess.CalledProcessError:
            output.flush()
            tail = Path(log).read_text(errors="replace").splitlines()[-30:]
            raise SystemExit("\n".join(tail) + f"\n{' '.join(map(str, command))} failed; full log: {log}")


def check_config(tree):
    """A misspelt or impossible option in kernel.config must not pass unseen."""
    result = set((tree / ".config").read_text().splitlines())
    for line in CONFIG.read_text().splitlines():
        if not line.startswith("CONFIG_"):
            continue
        name, value = line.split("=", 1)
        if value == "n":
            wrong = any(other.startswith(name + "=") for other in result)
        else:
            wrong = line not in result
        if wrong:
            raise SystemExit(f"{CONFIG.name}: the kernel's configuration did not accept {line}")
    if "CONFIG_XEN=y" in result:
        raise SystemExit("the KUnit kernel must not have Xen support of its own")


def prune(tree):
    for path in (tree / "Documentation").rglob("*"):
        if path.is_file() and not path.name.startswith("Kconfig"):
            path.unlink()
    for path in glob.glob(str(tree / "arch" / "*")):
        if os.path.isdir(path) and os.path.basename(path) != "x86":
            for unused in Path(path).rglob("*"):
                if unused.is_file() and not unused.name.startswith(("Kconfig", "Makefile")):
                    unused.unlink()
    for folder in WITHOUT_SOURCES:
        for path in (tree / folder).rglob("*.[chS]"):
            path.unlink()
    for path in tree.rglob("*"):
        if path.suffix in (".o", ".a", ".cmd", ".dtsi", ".dts") and path.is_file() and \
           path.relative_to(tree).parts[0] not in ("scripts", "tools"):
            path.unlink()
    for name in ("vmlinux", "vmlinux.unstripped", "arch/x86/boot/compressed/vmlinux"):
        with contextlib.suppress(FileNotFoundError):
            (tree / name).unlink()


def build(destination):
    log = destination.with_suffix(".log")
    log.unlink(missing_ok=True)
    jobs = f"-j{os.cpu_count()}"
    scratch = Path(tempfile.mkdtemp(prefix=destination.name + ".", dir=destination.parent))
    try:
        started = time.monotonic()
        print(f"building the KUnit kernel (about 5 minutes, once); log: {log}", flush=True)
        run(["tar", "-xf", SOURCE, "-C", scratch, "--strip-components=1"], log)
        run(["make", "tinyconfig"], log, cwd=scratch)
        run(["scripts/kconfig/merge_config.sh", "-m", ".config", CONFIG], log, cwd=scratch)
        run(["make", "olddefconfig"], log, cwd=scratch)
        check_config(scratch)
        run(["make", jobs, "bzImage", "modules"], log, cwd=scratch)
        prune(scratch)
        scratch.rename(destination)
        print(f"built in {time.monotonic() - started:.0f} s: {destination}", flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def get():
    """The kernel's tree, built if it is not there: modules build against it, bzImage is in it."""
    destination = cache_directory() / f"kunit-kernel-{input_hash()}"
    if not destination.is_dir():
        with locked(destination.with_suffix(".lock")):
            if not destination.is_dir():
                build(destination)
    return destination


if __name__ == "__main__":
    print(get())
