# SPDX-License-Identifier: GPL-2.0-only
"""What dom0's xl asks of a whole guest: shutdown, reboot, SysRq, console, destroy."""

import re
import time

import pytest

from xpvlab.waiting import until

FEATURES = ("feature-poweroff", "feature-reboot", "feature-suspend")
ALIVE = "uptime >/dev/null"


def control(host, guest, node):
    return host.run(f"xenstore-read /local/domain/{guest.domid}/control/{node}").out.rstrip("\n")


def ask(host, guest, node, value):
    host.run(f"xenstore-write /local/domain/{guest.domid}/control/{node} '{value}'")


def fate(host, guest):
    """What xl's daemon says of the guest's ends: Xen's reason codes, 0 poweroff, 1 reboot."""
    log = host.run(f"cat /var/log/xen/xl-{guest.name}.log").out
    return [int(code) for code in re.findall(r"Domain \d+ has shut down, reason code (\d+)", log)]


def no_remains(host, guest):
    """Xen has let go of the domain: none is left without a name, dying."""
    until(lambda: not guest.exists())
    until(lambda: "(null)" not in host.run("xl list").out)


@pytest.mark.matrix
@pytest.mark.vcpus(2)
def test_features(xpv, host):
    """Said while the module is loaded, and as the toolstack made them otherwise."""
    before = [control(host, xpv, feature) for feature in FEATURES]
    assert before == ["", "", ""]
    xpv.load_xpv()
    assert [control(host, xpv, feature) for feature in FEATURES] == ["1", "1", "1"]
    xpv.unload_xpv()
    assert [control(host, xpv, feature) for feature in FEATURES] == before
    # What the guest may write it may write again.
    xpv.load_xpv()
    assert control(host, xpv, FEATURES[0]) == "1"
    xpv.unload_xpv()


@pytest.mark.vcpus(2)
def test_sysrq(xpv, host):
    xpv.load_xpv()
    mask = xpv.run("cat /proc/sys/kernel/sysrq").out.strip()
    try:
        # Sync is permitted, debugging dumps are not: Debian's choice.
        xpv.run("echo 438 >/proc/sys/kernel/sysrq; dmesg -C")
        host.run(f"xl sysrq {xpv.name} s")
        until(lambda: "sysrq: Emergency Sync" in xpv.run("dmesg").out)
        until(lambda: control(host, xpv, "sysrq") == "")
        host.run(f"xl sysrq {xpv.name} t")
        until(lambda: "This sysrq operation is disabled" in xpv.run("dmesg").out)
        host.run(f"xl sysrq {xpv.name} h")
        until(lambda: "sysrq: HELP" in xpv.run("dmesg").out)
        assert "sysrq: Show State" not in xpv.run("dmesg").out
    finally:
        xpv.run(f"echo {mask} >/proc/sys/kernel/sysrq")
    xpv.unload_xpv()


@pytest.mark.vcpus(2)
def test_nonsense(xpv, host):
    """The toolstack writes unknown words, long ones and many of them as
    requests, and three letters as a SysRq key. A guest that acts on a prefix
    powers off, one that acknowledges what it did not do deceives the toolstack,
    and one that logs each fills its log. They must be left where they are, with
    a few lines in the log, and the guest go on."""
    xpv.load_xpv()
    xpv.run("dmesg -C")
    for number, value in enumerate(["frobnicate", "poweroff ", "A" * 2000] + ["more"] * 20):
        ask(host, xpv, "shutdown", value + "x" * number)
    ask(host, xpv, "sysrq", "boo")
    until(lambda: "control/sysrq: not a single" in xpv.run("dmesg").out)
    lines = [l for l in xpv.run("dmesg").out.splitlines() if "unknown request" in l]
    assert 1 <= len(lines) <= 5 and "frobnicate" in lines[0]
    assert control(host, xpv, "shutdown").startswith("more")
    ask(host, xpv, "shutdown", "")
    ask(host, xpv, "sysrq", "")
    xpv.run(ALIVE)
    xpv.unload_xpv()


@pytest.mark.matrix
@pytest.mark.newest_kernel
@pytest.mark.parametrize("drivers", ["xpv", "intree"])
def test_shutdown(guest, host, modules, drivers):
    """`xl shutdown -w` ends when the guest is off, and it was the guest's init that did it."""
    one = guest(type="hvm", drivers=drivers, modules=modules, disks=[48])
    if drivers == "xpv":
        one.load_xpv()
    one.run(f"mkfs.ext4 -q {one.wait_for_disk()} && mount /dev/xvda /mnt && echo data >/mnt/file")
    assert [control(host, one, feature) for feature in FEATURES[:2]] == ["1", "1"]
    host.run(f"xl shutdown -w {one.name}", timeout=180)
    no_remains(host, one)
    assert fate(host, one) == [0]
    assert "lab: init: poweroff" in one.console_tail(400)
    # What it had not written yet it wrote.
    assert host.run(f"mount -o ro {one.disks[0].backend} /mnt && cat /mnt/file; umount /mnt").out == "data\n"


@pytest.mark.matrix
@pytest.mark.newest_kernel
def test_reboot_console_and_destroy(guest, host, modules):
    """`xl reboot` brings a new domain up, `xl console` talks to it, `xl destroy` ends it."""
    # What the kernel says goes to the second port too, for the lab. A panic is not to become a reboot.
    one = guest(type="hvm", drivers="xpv", modules=modules, disks=[48], cmdline="console=ttyS1,115200 panic=0",
                config='on_reboot = "restart"\nserial = ["pty", "file:CONSOLE_FILE"]')
    one.load_xpv()
    first = one.domid
    host.run(f"xl reboot {one.name}", timeout=90)
    until(lambda: one.exists() and int(host.run(f"xl domid {one.name}", check=False).out or first) != first,
          seconds=180)
    assert fate(host, one) == [1]
    one.domid = int(host.run(f"xl domid {one.name}").out)
    one._relay = None           # to a device model that is gone
    one._connect()
    assert "xpv_" not in one.run("cat /proc/modules").out

    # Without a PV console of ours, this is the emulated serial port, with xpv as without.
    one.load_xpv()
    shown = bytearray()
    terminal = host.channel.start_terminal(f"exec xl console {one.name}", shown.extend)
    try:
        def heard():
            one.run("echo 'from the guest' >/dev/ttyS0")
            return b"from the guest" in shown
        until(heard)
        typed = one.start("stty -F /dev/ttyS0 -echo; head -n 1 /dev/ttyS0")
        until(lambda: one.run("pgrep -x head", check=False).status == 0)
        terminal.feed(b"from dom0\r")
        assert typed.wait(60).out.strip() == "from dom0"
    finally:
        terminal.kill()

    # In the middle of work.
    one.start(f"dd if=/dev/zero of={one.wait_for_disk()} bs=64k oflag=direct status=none")
    time.sleep(2)
    host.run(f"xl destroy {one.name}", timeout=120)
    no_remains(host, one)


@pytest.mark.matrix
@pytest.mark.newest_kernel
def test_forced(guest, host, modules):
    """User space that does nothing has its time, and no more. Meanwhile what
    cannot be done is not acknowledged, and SysRq is served: during a reboot
    that has time enough. A poweroff overtakes it, with a time of its own, of
    which only the outcome is looked at, in dom0."""
    one = guest(type="hvm", drivers="xpv", modules=modules, disks=[48])
    one.load_xpv(suspend="shutdown_timeout_s=3600")
    one.run("printf '#!/bin/sh\\n' >/usr/sbin/poweroff; cp /usr/sbin/poweroff /usr/sbin/reboot")

    def logged(text):
        return text in one.console_tail(400)

    host.run(f"xl reboot {one.name}", timeout=60)
    until(lambda: control(host, one, "shutdown") == "")
    ask(host, one, "shutdown", "suspend")
    until(lambda: logged("control/shutdown: refusing suspend while rebooting"))
    host.run(f"xl sysrq {one.name} h")
    until(lambda: logged("sysrq: HELP"))
    assert control(host, one, "shutdown") == "suspend"

    one.run("echo 30 >/sys/module/xpv_suspend/parameters/shutdown_timeout_s")
    asked = time.monotonic()
    host.run(f"xl shutdown {one.name}", timeout=60)
    until(lambda: not one.exists(), seconds=300)
    assert time.monotonic() - asked >= 30
    no_remains(host, one)
    assert fate(host, one) == [0]
    assert logged("did not power off in time, forcing poweroff")
    assert not logged("did not reboot in time")
