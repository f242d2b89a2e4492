# SPDX-License-Identifier: GPL-2.0-only
"""The machine: QEMU, in it Xen, on it dom0, with a command channel to dom0.

    with Host() as host:
        print(host.run("xl info").out)
        with host.guest(type="hvm", kernel="6.12", disks=1) as guest:
            print(guest.run("uname -a").out)

Any number of hosts may run at once: each has a run directory of its own, and
writes to the cached disks go to a scratch overlay that dies with it.
"""

import contextlib
import ctypes
import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from . import cache, images, initrd, qemu, splat
from .channel import Channel, SocketStream
from .errors import CommandFailed, EmulatorFault, GuestDied, LabError, SplatFound
from .guest import Guest
from .progress import say, step

DOM0_MODULES = ["virtio_pci", "virtio_blk", "crc32c_generic", "ext4"]
# smap: TCG faults in a PV kernel's first iret with it. rdtscp: Xen intercepts
# it and TCG cannot give it the instruction's length. xsave and all that needs
# it: a guest's return from a signal handler fails on the saved state.
CPU = "max,-smap,-rdtscp,-xsave,-avx,-avx2,-f16c,-fma,-pku"
_runs = itertools.count(1)


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Host:
    """`counting`: the clocks of this machine count executed instructions, one
    a nanosecond, on one processor; it takes several times as long.
    `xenstored`: dom0's, xenstored (in C) or oxenstored."""

    def __init__(self, memory=4096, dom0_memory=1024, cpus=None, run_dir=None,
                 xen_args="", boot_timeout=900, counting=False, xenstored="xenstored", plugin=None, devices=()):
        self.emulator = qemu.build(plugins=plugin is not None)
        self.plugin = plugin        # of the emulator, as its option has it
        self.devices = devices      # more of the emulator's options
        self.dom0_image = images.dom0()
        self.guest_image = images.guest()
        self.memory = memory
        self.dom0_memory = dom0_memory
        self.counting = counting
        self.xenstored = xenstored
        self.cpus = 1 if counting else cpus or (2 if self.emulator.trusted else 3)
        # The stock emulator's worst fault strikes physical CPU 0 only.
        self.hvm_cpus = None if self.emulator.trusted or counting else f"1-{self.cpus - 1}"
        self.xen_args = xen_args
        self.boot_timeout = boot_timeout
        self.abi = None             # of event channels, for guests with xpv; None: their own choice
        self.cmdline = ""           # more for the kernel's command line of guests with xpv
        self.guests = []
        self.channel = None
        self._names = itertools.count(1)
        self._process = None
        self._sockets = None
        stamp = time.strftime("%Y%m%d-%H%M%S")
        self.run_dir = Path(run_dir or cache.root() / "runs" /
                            f"{stamp}-{os.getpid()}-{next(_runs)}")
        self.share = self.run_dir / "share"         # /share in dom0
        self.log = self.run_dir / "machine.log"     # Xen's and dom0's kernel's

    def __enter__(self):
        for last in (False, False, True):
            try:
                self.boot()
                return self
            except EmulatorFault as fault:
                # Nothing under test has run yet.
                self.close()
                if last:
                    raise
                say(f"{fault}; booting once more")
                shutil.move(self.run_dir, f"{self.run_dir}-fault-{next(_runs)}")
            except BaseException:
                self.close()
                raise

    def __exit__(self, kind, error, _trace):
        self.close()

    def boot(self):
        self.share.mkdir(parents=True)
        self._sockets = Path(tempfile.mkdtemp(prefix="xpvlab-"))
        image = self.dom0_image
        ramdisk = self.run_dir / "dom0.initrd"
        ramdisk.write_bytes(initrd.build(
            image.kernel, image.busybox, DOM0_MODULES,
            ["dom0-init.sh", "init-common.sh", "agent.py", "block-hotplug.sh", "vif-hotplug.sh"],
            "dom0-initrd.sh"))
        xen = f"dom0_mem={self.dom0_memory}M,max:{self.dom0_memory}M com1=115200,8n1 " \
              f"console=com1 loglvl=all guest_loglvl=all conring_size=1M " \
              f"noreboot=1 watchdog=0 {self.xen_args}"
        if self.emulator.trusted:
            xen += f" dom0_max_vcpus={self.cpus}"
        else:
            xen += " dom0_max_vcpus=1 dom0_vcpus_pin"
        dom0 = "console=hvc0 loglevel=7 panic=-1 rcupdate.rcu_cpu_stall_timeout=120 " \
               f"watchdog_thresh=60 lab.xenstored={self.xenstored}"
        argv = [
            self.emulator.binary, *self.emulator.options,
            "-accel", f"tcg,thread={'single' if self.counting else 'multi'},tb-size=512",
            *(["-icount", "shift=0,sleep=off"] if self.counting else []),
            *(["-plugin", self.plugin] if self.plugin else []), *self.devices,
            "-machine", "pc", "-cpu", CPU,
            "-smp", self.cpus, "-m", self.memory, "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot",
            "-kernel", image.xen, "-append", xen,
            "-initrd", f"{image.kernel.vmlinuz} {dom0.replace(',', ',,')},{ramdisk}",
            "-serial", f"file:{self.log}",
            "-monitor", f"unix:{self._sockets}/monitor,server=on,wait=off",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=agent,path={self._sockets}/agent,server=on,wait=off",
            "-device", "virtserialport,chardev=agent,name=xpv.agent",
            "-drive", f"file={image.disk},format=raw,if=none,id=root,snapshot=on,cache=unsafe",
            "-device", "virtio-blk-pci,drive=root",
            "-drive", f"file={self.guest_image.root},format=raw,if=none,id=guest,readonly=on",
            "-device", "virtio-blk-pci,drive=guest",
            "-fsdev", f"local,id=share,path={self.share},security_model=none",
            "-device", "virtio-9p-pci,fsdev=share,mount_tag=lab",
        ]
        argv = [str(a) for a in argv]
        (self.run_dir / "qemu.cmdline").write_text("\n".join(argv) + "\n")
        with step(f"booting Xen and dom0 (logs: {self.run_dir})"):
            with open(self.run_dir / "qemu.log", "wb") as log:
                self._process = subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env=dict(os.environ, TMPDIR=str(self.run_dir)),
                    start_new_session=True,     # a Ctrl-C is for us; we end it in our own time
                    preexec_fn=_die_with_parent)
            self._wait_for_dom0()

    def _wait_for_dom0(self):
        end = time.monotonic() + self.boot_timeout
        path = self._sockets / "agent"
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise LabError(f"the machine stopped while booting:\n{self.log_tail()}")
            if self.log.exists() and re.search(r"Hardware Dom0 crashed|Kernel panic", self.log_since()):
                self.raise_emulator_fault()
                raise LabError(f"dom0 crashed while booting:\n{self.log_tail()}")
            if self.channel is None and path.exists():
                try:
                    self.channel = Channel("dom0", SocketStream(path))
                except OSError:
                    pass
            if self.channel and self.channel.alive(1.0):
                return
            time.sleep(0.1)
        raise LabError(f"dom0 did not come up in {self.boot_timeout} s:\n{self.log_tail()}")

    def log_tail(self, lines=40):
        log = self.log.read_text(errors="replace") if self.log.exists() else ""
        errors = (self.run_dir / "qemu.log").read_text(errors="replace")
        return "\n".join(log.splitlines()[-lines:] + errors.splitlines()[-10:])

    @property
    def tsc_khz(self):
        """Of the processors, as Xen has measured it."""
        return int("".join(re.search(r"^\(XEN\) Detected (\d+)\.(\d{3}) MHz processor", self.log_since(), re.M).groups()))

    # Commands in dom0

    def start(self, script):
        """Start a shell script in dom0; returns a Job: wait(), kill()."""
        return self.channel.start(script)

    def run(self, script, timeout=120, check=True):
        """Run a shell script in dom0; Result has status, out, err."""
        try:
            result = self.start(script).wait(timeout)
        except GuestDied:
            self.raise_emulator_fault()
            raise
        if check and result.status:
            raise CommandFailed("dom0", script, result)
        return result

    def push(self, local, name=None):
        """Put a file into dom0; returns its path there."""
        name = name or Path(local).name
        shutil.copyfile(local, self.share / name)
        return f"/share/{name}"

    def write_file(self, name, data):
        """Make a file in dom0; returns its path there."""
        (self.share / name).write_bytes(data)
        return f"/share/{name}"

    def write_program(self, name, data, timeout=120):
        """Make a program in dom0; returns its path there."""
        path = f"/run/lab/{name}"
        self.run(f"cp {self.write_file(name, data)} {path} && chmod +x {path}", timeout=timeout)
        return path

    def pull(self, path, local):
        """Get a file of dom0's."""
        name = f"pull-{next(self._names)}"
        self.run(f"cp '{path}' /share/{name}", timeout=600)
        os.replace(self.share / name, local)

    @contextlib.contextmanager
    def loop_device(self, file, size):
        """A block device in dom0, over a new file there of that size (as truncate has it); both go at the end."""
        device = self.run(f"truncate -s {size} {file} && losetup -f --show {file}").out.strip()
        try:
            yield device
        finally:
            self.run(f"losetup -d {device}; rm -f {file}", check=False)

    # Guests

    def guest(self, **options):
        """Create a guest; see Guest. Boots when entered with `with`, or by
        its boot()."""
        guest = Guest(self, f"g{next(self._names)}", **options)
        self.guests.append(guest)
        return guest

    # Health

    def log_position(self):
        return self.log.stat().st_size

    def log_since(self, position=0):
        with open(self.log, "rb") as log:
            log.seek(position)
            return log.read().decode(errors="replace")

    def raise_emulator_fault(self, position=0):
        splat.raise_emulator_fault("a guest", self.log_since(position))

    def check(self, position=0):
        """Raise if Xen's or dom0's log since `position` has anything bad."""
        self.raise_emulator_fault(position)
        found = splat.splats(self.log_since(position))
        if found:
            raise SplatFound("Xen and dom0", found)

    def close(self):
        if self.channel:
            self.channel.close()
            self.channel = None
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._sockets:
            shutil.rmtree(self._sockets, ignore_errors=True)
        for leftover in self.share.glob("*.payload"):
            leftover.unlink()
        say(f"machine stopped; logs in {self.run_dir}")
