# SPDX-License-Identifier: GPL-2.0-only
"""A guest on the lab's Xen, from `xl create` to the check of its logs."""

import re
import time

from . import splat
from .channel import Channel, Relay, agent
from .errors import CommandFailed, EmulatorFault, GuestDied, LabError, SplatFound
from .guestconfig import DRIVERS, TYPES, Disk, GuestConfig
from .guestmoves import GuestMoves
from .progress import say, step
from .waiting import wait_until

# What the lab runs in a guest does not wait behind the load that it makes
# there; a command of that load begins with this (see guest-init.sh).
AS_LOAD = "nice -n 10"


class Guest(GuestConfig, GuestMoves):
    """A guest.

    type      hvm, pvh or pv
    kernel    6.1, 6.12 or, if its headers are installed, 6.1-rt
    drivers   intree: the kernel's own PV drivers;
              xpv: boot with xen_nopv, then load_xpv() (hvm only)
    modules   directory of xpv's .ko files, see payload.module_dir
    disks     a number, or a list of sizes in MiB or of Disk
    vifs      number of network interfaces, on bridge xenbr0 (10.77.0.1/16)
    emulated_nics
              whether each vif has an emulated NIC beside it (hvm only)
    cmdline   more for the kernel's command line
    config    more lines for xl's configuration, where CONSOLE_FILE is the file (in dom0)
              that the lab reads as the console
    files     local files to find at /lab/payload/files
    expected  regular expressions of bad lines in the guest's kernel log that
              this test provokes
    """

    def __init__(self, host, name, type="hvm", kernel="6.12", drivers="intree",
                 modules=None, vcpus=2, memory=512, disks=0, vifs=0,
                 emulated_nics=False, cmdline="", config="", files=(), expected=(), boot_timeout=900):
        if type not in TYPES or drivers not in DRIVERS:
            raise LabError(f"no such guest: type {type}, drivers {drivers}")
        if kernel not in host.guest_image.kernels:
            raise LabError(f"no kernel {kernel}; there are "
                           + ", ".join(host.guest_image.kernels))
        if drivers == "xpv" and type != "hvm":
            raise LabError("xpv in a guest whose kernel owns Xen: not yet in the lab")
        self.host = host
        self.name = name
        self.type = type
        self.kernel = host.guest_image.kernels[kernel]
        self.drivers = drivers
        self.modules = modules
        self.vcpus = vcpus
        self.memory = memory
        if isinstance(disks, int):
            disks = [256] * disks
        self.disks = [d if isinstance(d, Disk) else Disk(d << 20) for d in disks]
        self.vifs = vifs
        self.emulated_nics = emulated_nics
        self.cmdline = cmdline
        self.config = config
        self.files = files
        self.expected = [re.compile(e) for e in expected]
        self.boot_timeout = boot_timeout
        self.channel = None
        self.domid = None
        self.dmesg = ""                 # complete once the guest is stopped
        self.console = ""               # warnings and worse, to the very end
        self.started = None
        self.lifetime = 0.0
        self._loops = []
        self._relay = None
        self._generation = 0            # device models' files have its number
        self._log_start = 0
        self._finished = False

    # Life

    def __enter__(self):
        try:
            self.boot()
        except BaseException as error:
            self._leave(error)
            raise
        return self

    def __exit__(self, kind, error, _trace):
        self._leave(error)

    def _leave(self, error):
        """Stop and check. If something is being raised already, only an
        emulator fault replaces it: that explains it away."""
        try:
            self.finish()
        except EmulatorFault:
            raise
        except LabError as found:
            if error is None:
                raise
            say(f"{self.name}: also: {found}")

    def boot(self):
        self._log_start = self.host.log_position()
        self.started = time.monotonic()
        with step(f"{self.name}: starting a {self.type} guest, kernel {self.kernel.release}, "
                  f"{self.vcpus} vCPUs, {self.drivers} drivers"):
            self._create()
            self._connect()
            if self._begins_with_two():
                self.run("for cpu in /sys/devices/system/cpu/cpu[0-9]*; do "
                         "[ ! -e $cpu/online ] || [ $(cat $cpu/online) = 1 ] || echo 1 >$cpu/online || exit 1; done",
                         timeout=self.boot_timeout)

    def _agent_path(self):
        """What leads to the agent, in dom0: only an HVM guest can have more
        than the one console that xenconsoled serves."""
        if self.type == "hvm":
            return self._agent_socket
        return self.host.run(f"xenstore-read /local/domain/{self.domid}/console/tty", check=False).out.strip()

    def _connect(self):
        end = time.monotonic() + self.boot_timeout
        look = 0                # when to look whether it lives: dom0 needs a second to say
        while time.monotonic() < end:
            if self._relay is None or self._relay.over.is_set():
                self._relay = Relay(self.host.channel, self._agent_path())
                self.channel = Channel(self.name, self._relay, escaped=self.type != "hvm",
                                       previous=self.channel)
                if not self._relay.connected():
                    self._relay.close()
                    self._relay = None
                    time.sleep(0.5)
            if self._relay and self.channel.alive(2.0):
                return
            if time.monotonic() > look:
                look = time.monotonic() + 10
                if not self.exists():
                    self._fail_to_boot(GuestDied, "died while booting")
        self._fail_to_boot(LabError, f"did not come up in {self.boot_timeout} s")

    def _fail_to_boot(self, kind, what):
        splat.raise_emulator_fault(self.name, self._console_log())
        raise kind(f"{self.name} {what}; its console:\n" + self.console_tail() + self._device_model_log())

    def _device_model_log(self):
        log = self.host.run(f"tail -n 20 /var/log/xen/qemu-dm-{self.name}.log", check=False).out
        return f"\n--- device model\n{log}" if log else ""

    def exists(self):
        return self.host.run(f"xl domid {self.name}", check=False).status == 0

    def console_tail(self, lines=60):
        return "\n".join(self._console_log().splitlines()[-lines:])

    def _console_log(self):
        """What the guest printed; the agent may be on the same console."""
        copy = self.host.share / f"{self.name}.console"
        self.host.run(f"cp {self.console_file} /share/{copy.name}", check=False, timeout=60)
        decoder = agent.Decoder()
        for _ in decoder.feed(copy.read_bytes() if copy.exists() else b""):
            pass
        return (decoder.noise + decoder.data).decode(errors="replace")

    # Commands

    def start(self, script):
        """Start a shell script in the guest; returns a Job: wait(), kill()."""
        return self.channel.start(script)

    def run(self, script, timeout=120, check=True):
        """Run a shell script in the guest; Result has status, out, err."""
        try:
            result = self.start(script).wait(timeout)
        except GuestDied as error:
            raise GuestDied(f"{error}\nits console:\n{self.console_tail()}") from error
        if check and result.status:
            raise CommandFailed(self.name, script, result)
        return result

    def write_file(self, path, data):
        self.channel.write_file(path, data if isinstance(data, bytes) else data.encode())

    def write_program(self, name, data):
        """Make a program in the guest; returns its path there."""
        path = f"/tmp/{name}"
        self.write_file(path, data)
        self.run(f"chmod +x {path}")
        return path

    def load_xpv(self, timeout=120, **parameters):
        """Load xpv, with these modules' parameters: evtchn="abi=fifo"."""
        if not self.modules:
            raise LabError(f"{self.name} was given no modules")
        if self.host.abi and "abi=" not in parameters.get("evtchn", ""):
            parameters["evtchn"] = f"abi={self.host.abi} {parameters.get('evtchn', '')}"
        arguments = " ".join(f"'xpv_{m}={p}'" for m, p in parameters.items())
        return self.run(f"/lab/load-xpv.sh {arguments}", timeout=timeout)

    def unload_xpv(self, check=True):
        """Unload what is loaded of xpv, dependents first."""
        self.run("""mountpoint -q /mnt && umount /mnt
            udevadm settle
            for again in 1 2 3 4 5 6 7 8; do
                modules=$(awk '/^xpv_/ && $3 == 0 {print $1}' /proc/modules)
                [ -n "$modules" ] || break
                rmmod $modules || exit 1
            done
            ! grep -q ^xpv_ /proc/modules""", check=check)

    def tracefs(self, timeout=120):
        """Where it is mounted, from now on at the latest."""
        self.run("mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing",
                 timeout=timeout)
        return "/sys/kernel/tracing"

    def counts(self, part):
        """What xpv counts in debugfs, by name; of "gnttab" or "xenbus"."""
        lines = self.run(f"cat /sys/kernel/debug/xpv/{part}").out.splitlines()
        return {name.strip(): int(value) for name, value in (line.rsplit(None, 1) for line in lines)}

    def wait_for_disk(self, number=0):
        """Wait until the guest has its disk; returns its device node."""
        node = f"/dev/{self.disks[number].vdev}"
        wait_until(self, f"[ -b {node} ]", 120)
        return node

    def net_up(self, number=0):
        """Give an interface its address; returns the address."""
        self.run(f"i=$(grep -l {self.mac(number)} /sys/class/net/*/address | cut -d/ -f5); "
                 f"ip addr add {self.address(number)}/16 dev $i && ip link set $i up")
        return self.address(number)

    # The end

    def _wait_for_restart(self, seconds=15):
        """A guest that has just died may be on its way back."""
        end = time.monotonic() + seconds
        while not self.exists() and time.monotonic() < end:
            time.sleep(0.5)

    def stop(self, shutdown=True):
        """Save the kernel log, power the guest off, take its things away."""
        if self._finished:
            return
        self._finished = True
        if self.started:
            self.lifetime = time.monotonic() - self.started
        logs = self.host.run_dir
        try:
            if self.channel and not self.channel.dead:
                try:
                    self.dmesg = self.channel.start("dmesg").wait(60).out
                except LabError as error:
                    say(f"{self.name}: no dmesg: {error}")
                if shutdown and self.dmesg:
                    self._power_off()
            if 'on_reboot = "restart"' in self.config:
                self._wait_for_restart()
            if self.exists():
                self.host.run(f"xl destroy {self.name}", timeout=120)
            if self._relay:
                self._relay.close()
            self.console += self._console_log()
            dm = self.host.run(f"cat /var/log/xen/qemu-dm-{self.name}.log", check=False).out
            (logs / f"{self.name}.devicemodel").write_text(dm)
            self.host.run(f"rm -f {self._payload_copy}")
            for device in self._loops:
                self.host.run(f"losetup -d {device}", check=False)
            for disk in self.disks:
                if disk.file.startswith(f"/var/{self.name}-"):
                    self.host.run(f"rm -f {disk.file}")
        finally:
            (logs / f"{self.name}.dmesg").write_text(self.dmesg)
            (logs / f"{self.name}.console").write_text(self.console)

    def _power_off(self, timeout=60):
        try:
            self.channel.start("sync; busybox poweroff -f")
        except GuestDied:
            return
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if not self.exists():
                return
            time.sleep(0.5)
        say(f"{self.name} did not power off in {timeout} s")

    def check(self):
        """Raise if the kernel logs of the guest, dom0 or Xen are not clean."""
        self.host.raise_emulator_fault(self._log_start)
        splat.raise_emulator_fault(self.name, self.dmesg)
        splat.raise_emulator_fault(self.name, self.console)
        found = splat.splats(self.dmesg)
        found += [l for l in splat.splats(self.console) if l not in found]
        found = [l for l in found if not any(e.search(l) for e in self.expected)]
        if found:
            raise SplatFound(f"{self.name}'s kernel", found)
        self.host.check(self._log_start)

    def finish(self):
        """stop() and check()."""
        try:
            self.stop()
        except GuestDied:
            self.host.raise_emulator_fault(self._log_start)
            raise
        self.check()
