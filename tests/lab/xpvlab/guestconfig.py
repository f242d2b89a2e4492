# SPDX-License-Identifier: GPL-2.0-only
"""What a guest is made of: kernel, payload, disks and xl's configuration."""

from dataclasses import dataclass

from . import initrd, payload

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


class GuestConfig:
    """The part of a Guest that makes its domain."""

    def _begins_with_two(self):
        return self.type == "hvm" and self.vcpus >= MANY_VCPUS and "maxcpus=" not in self.cmdline

    def _create(self):
        share = self.host.share
        image = self.host.guest_image
        ramdisk = initrd.build(
            self.kernel, image.busybox,
            (HVM_MODULES if self.type == "hvm" else ["xen-blkfront"]) + ROOT_MODULES,
            ["guest-init.sh", "init-common.sh", "agent.py", "load-xpv.sh"], "guest-initrd.sh")
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
        vifs = [f"bridge=xenbr0,mac={self.mac(n)}{',type=vif' if hvm and not self.emulated_nics else ''}"
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
