# SPDX-License-Identifier: GPL-2.0-only
"""A guest on the lab's Xen, from `xl create` to the check of its logs."""

import re
import time
from dataclasses import dataclass

from . import initrd, payload, splat
from .channel import Channel, Relay, agent
from .errors import CommandFailed, EmulatorFault, GuestDied, LabError, SplatFound
from .progress import say, step
from .waiting import wait_until

TYPES = ("hvm", "pvh", "pv")
DRIVERS = ("intree", "xpv")
# The disks' names. The first four also appear as emulated IDE disks.
VDEVS = [f"xvd{c}" for c in "abcdefghijklmnopqrstuvw"]
ROOT_MODULES = ["squashfs", "overlay", "isofs", "nls_utf8"]
# An HVM guest reaches its root and the lab without any PV driver: by virtio
# disks, which an unplug of the emulated disks leaves alone, and a virtio-serial
# port. Its BIOS boots from the payload as a CD-ROM, of which the kernel knows nothing.
HVM_MODULES = ["virtio_pci", "virtio_blk", "virtio_console"]
# From this number of vCPUs on, an HVM guest's kernel begins with two, and the
# others are brought up when it is there: while it boots each of them has a tick,
# and 6.12 with 8 was seen to do nothing but serve their interrupts.
MANY_VCPUS = 8
MIGRATION_PORT = 8002       # Xen's own, of old
# What the lab runs in a guest does not wait behind the load that it makes
# there; a command of that load begins with this (see guest-init.sh).
AS_LOAD = "nice -n 10"
QUIET = "loglevel=5 log_buf_len=4M panic=-1 oops=panic " \
        "rcupdate.rcu_cpu_stall_timeout=120 watchdog_thresh=60"


@dataclass
class Disk:
    """A disk of the guest: a file on a loop device in dom0, behind a real
    xen-blkback."""
    size: int               # bytes
    vdev: str = ""
    readonly: bool = False
    file: str = ""          # in dom0
    backend: str = ""       # the loop device in dom0
    format: str = "raw"


class Guest:
    """A guest.

    type      hvm, pvh or pv
    kernel    6.1, 6.12 or, if its headers are installed, 6.1-rt
    drivers   intree: the kernel's own PV drivers;
              xpv: boot with xen_nopv, then load_xpv() (hvm only)
    modules   directory of xpv's .ko files, see payload.module_dir
    disks     a number, or a list of sizes in MiB or of Disk
    vifs      number of network interfaces, on bridge xenbr0 (10.77.0.1/16)
    cmdline   more for the kernel's command line
    config    more lines for xl's configuration, where CONSOLE_FILE is the file (in dom0)
              that the lab reads as the console
    files     local files to find at /lab/payload/files
    expected  regular expressions of bad lines in the guest's kernel log that
              this test provokes
    """

    def __init__(self, host, name, type="hvm", kernel="6.12", drivers="intree",
                 modules=None, vcpus=2, memory=512, disks=0, vifs=0, cmdline="",
                 config="", files=(), expected=(), boot_timeout=900):
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

    def _begins_with_two(self):
        return self.type == "hvm" and self.vcpus >= MANY_VCPUS and "maxcpus=" not in self.cmdline

    def _create(self):
        share = self.host.share
        image = self.host.guest_image
        ramdisk = initrd.build(
            self.kernel, image.busybox,
            (HVM_MODULES if self.type == "hvm" else ["xen-blkfront"]) + ROOT_MODULES,
            ["guest-init.sh", "agent.py", "load-xpv.sh"], "guest-initrd.sh")
        cd = share / f"{self.name}.payload"
        if self.type == "hvm":
            payload.build(cd, self.kernel, self.modules, self.files, ramdisk,
                          self._kernel_cmdline())
            self._copy_payload(self.host)
        else:
            payload.build(cd, self.kernel, self.modules, self.files)
            (share / f"{self.name}.initrd").write_bytes(ramdisk)
            if not (share / f"vmlinuz-{self.kernel.release}").exists():
                self.host.push(self.kernel.vmlinuz, f"vmlinuz-{self.kernel.release}")
            self._payload = self._loop(f"/share/{self.name}.payload", readonly=True)
        names = iter(VDEVS)
        for number, disk in enumerate(self.disks):
            disk.vdev = disk.vdev or next(names)
            if not disk.backend:
                disk.file = disk.file or f"/var/{self.name}-{number}.img"
                self.host.run(f"[ -e {disk.file} ] || truncate -s {disk.size} {disk.file}")
                disk.backend = self._loop(disk.file)
        (share / f"{self.name}.cfg").write_text(self._xl_config())
        self.host.run(f"xl create /share/{self.name}.cfg", timeout=180)
        self.domid = int(self.host.run(f"xl domid {self.name}").out)

    @property
    def _payload_copy(self):
        """In dom0."""
        return f"/run/lab/{self.name}.payload"

    def _copy_payload(self, host):
        """The device model can't read a file of /share straight into a guest's
        memory: 9p pins the pages, and a foreign page can't be pinned. And a
        BIOS waits for each small read."""
        host.run(f"cp /share/{self.name}.payload {self._payload_copy}")

    def _loop(self, file, readonly=False):
        option = "-r" if readonly else ""
        device = self.host.run(f"losetup {option} -f --show {file}").out.strip()
        self._loops.append(device)
        return device

    def _kernel_cmdline(self):
        hvm = self.type == "hvm"
        cmdline = f"console={'ttyS0,115200' if hvm else 'hvc0'} {QUIET} edd=off " \
                  f"lab.agent={'virtio-ports/xpv.agent' if hvm else 'hvc0'}"
        if self.drivers == "xpv":
            # Emulated timers are too coarse for Linux to measure the TSC with, which a real machine's are not.
            cmdline += f" xen_nopv tsc_early_khz={self.host.tsc_khz} tsc=reliable {self.host.cmdline}"
        if self._begins_with_two():
            cmdline += " maxcpus=2"
        return f"{cmdline} {self.cmdline}".strip()

    def _xl_config(self):
        hvm = self.type == "hvm"
        disks = [f"{d.backend},{d.format},{d.vdev},{'r' if d.readonly else 'w'}"
                 for d in self.disks]
        vifs = [f"bridge=xenbr0,mac={self.mac(n)}{',type=vif' if hvm else ''}"
                for n in range(self.vifs)]
        lines = [
            f'name = "{self.name}"', f'type = "{self.type}"',
            f"memory = {self.memory}", f"vcpus = {self.vcpus}", f"vif = {vifs}",
            'on_poweroff = "destroy"', 'on_reboot = "destroy"', 'on_crash = "destroy"',
        ]
        if hvm:
            # The class keeps an unplug of emulated disks off these.
            model = []
            for drive, file in (("root", "/dev/vdb"), ("payload", self._payload_copy)):
                model += ["-drive", f"if=none,id={drive},file={file},format=raw,readonly=on",
                          "-device", f"virtio-blk-pci,drive={drive},class=0xff00"]
            model += ["-device", "ich9-ahci,id=lab",
                      "-drive", f"if=none,id=cd,file={self._payload_copy},format=raw,readonly=on",
                      "-device", "ide-cd,bus=lab.0,drive=cd",
                      "-device", "virtio-serial-pci",
                      "-chardev", f"socket,id=agent,path={self._agent_socket},server=on,wait=off",
                      "-device", "virtserialport,chardev=agent,name=xpv.agent"]
            lines += [f"device_model_args_hvm = {model}", 'boot = "d"',
                      f'serial = "file:{self.console_file}"', 'vga = "none"',
                      "nographic = 1", "vnc = 0", "usb = 0", "xen_platform_pci = 1",
                      # As on a machine whose TSC is reliable: otherwise each reading of it is an exit.
                      'tsc_mode = "native"']
        else:
            disks += ["/dev/vdb,raw,xvdz,r", f"{self._payload},raw,xvdy,r"]
            lines += [f'kernel = "/share/vmlinuz-{self.kernel.release}"',
                      f'ramdisk = "/share/{self.name}.initrd"',
                      f'cmdline = "{self._kernel_cmdline()}"']
        lines += [f"disk = {disks}"]
        if self.type != "pv" and self.host.hvm_cpus:
            lines += [f'cpus = "{self.host.hvm_cpus}"']
        own = self.config.replace("CONSOLE_FILE", self.console_file)
        return "\n".join(lines) + f"\n{own}\n"

    def mac(self, number=0):
        ident = int(self.name[1:])
        return f"00:16:3e:{ident >> 8:02x}:{ident & 255:02x}:{number:02x}"

    def address(self, number=0):
        """The IPv4 address that net_up() gives the interface."""
        return f"10.77.{int(self.name[1:]) & 255}.{number + 1}"

    @property
    def console_file(self):
        """In dom0."""
        if self.type == "hvm":
            return f"/var/log/xen/{self.name}.{self._generation}.console"
        return f"/var/log/xen/guest-{self.name}.log"

    @property
    def _agent_socket(self):
        return f"/run/lab/{self.name}.{self._generation}.agent"

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

    # Suspend and resume

    def save(self, file, options="", timeout=300):
        """xl save into a file of dom0, which ends the domain."""
        self._leave_domain()
        self.host.run(f"xl save {options} {self.name} {file}", timeout=timeout)

    def restore(self, file, options="", timeout=300, paused=None):
        """xl restore; the guest goes on where save() found it. paused() is
        called when the domain is there, before it runs."""
        options += " -p" if paused else ""
        self.host.run(f"xl restore {options} {self._next_config()} {file}", timeout=timeout)
        if paused:
            self.domid = int(self.host.run(f"xl domid {self.name}").out)
            paused()
            self.host.run(f"xl unpause {self.name}")
        self._enter_domain()

    def checkpoint(self, file, timeout=300):
        """xl save -c: saved, and going on in the same domain."""
        self.host.run(f"xl save -c {self.name} {file}", timeout=timeout)

    def migrate(self, timeout=300):
        """xl migrate to the same host, over a pipe instead of ssh."""
        self._leave_domain()
        try:
            self.host.run(f'xl migrate -C {self._next_config()} -s "" {self.name} "xl migrate-receive"',
                          timeout=timeout)
        except LabError:
            self.console += self._console_log()     # as far as it came there
            self._generation -= 1                   # and perhaps it is still here
            raise
        self._enter_domain()

    def migrate_to(self, host, timeout=600):
        """xl migrate to the other machine of a pair, over a TCP connection.
        The disks must be what both have."""
        if self._loops or self.type != "hvm":
            raise LabError(f"{self.name} has what only its machine has")
        host.push(self.host.share / f"{self.name}.payload")
        self._copy_payload(host)
        self._leave_domain()
        log = host.share / "migrate_accept.log"
        log.write_text("")
        listener = host.start(f"exec python3 /share/migrate_accept.py {MIGRATION_PORT} {self.host.peer_address} "
                              f">/share/{log.name} 2>&1")
        end = time.monotonic() + 60
        while "listening" not in log.read_text():
            if time.monotonic() > end:
                raise LabError(f"{self.name}: nobody listens: {log.read_text()}")
            time.sleep(0.2)
        config = self._next_config()
        self.host.run(f"xl migrate -C {config} -s 'python3 /share/migrate_connect.py {MIGRATION_PORT}' "
                      f"{self.name} {self.host.peer_address}", timeout=timeout)
        if listener.wait(60).status:
            raise LabError(f"{self.name}: xl migrate-receive failed: {log.read_text()}")
        left = self.host
        self.host = host
        # From here on the other machine's log counts; this one's is looked at now.
        start, self._log_start = self._log_start, host.log_position()
        left.check(start)
        self._enter_domain()

    def _leave_domain(self):
        """The device model goes with the domain, and with it the way to the
        agent. Commands may go on running in the guest, unheard."""
        self.console += self._console_log()
        self._relay.close()
        self._relay = None

    def _next_config(self):
        """A configuration for the next domain. Its device model has files of
        its own: while two are there, the one that ends removes its socket."""
        self._generation += 1
        name = f"{self.name}.{self._generation}.cfg"
        (self.host.share / name).write_text(self._xl_config())
        return f"/share/{name}"

    def _enter_domain(self):
        self.domid = int(self.host.run(f"xl domid {self.name}").out)
        self._connect()

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
