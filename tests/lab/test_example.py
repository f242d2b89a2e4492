# SPDX-License-Identifier: GPL-2.0-only
"""The example of a frontend (examples/echo), with its backend in dom0: bytes
go there and back, the device goes and comes, and a backend that lies."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from xpvlab import payload, xenstate
from xpvlab.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
PUMP = """
set -e
head -c {size} /dev/urandom >/tmp/in
head -c {size} /dev/xpvecho >/tmp/out &
cat /tmp/in >/dev/xpvecho
wait $!
cmp /tmp/in /tmp/out
"""


class Echo:
    """The example, built for a guest's kernel and brought to it and to dom0."""

    def __init__(self, guest, host, directory):
        self.guest, self.host = guest, host
        build = directory / "echo"
        shutil.copytree(ROOT / "examples/echo", build)
        symbols = payload.module_dir(guest.modules, guest.kernel).resolve() / "Module.symvers"
        subprocess.run(["make", "-s", "-C", build, f"XPV={ROOT}", f"SYMBOLS={symbols}",
                        f"KDIR=/usr/src/linux-headers-{guest.kernel.release}"], check=True)
        module = build / "xpv_echofront.ko"
        subprocess.run(["strip", "--strip-debug", module], check=True)
        guest.write_file("/tmp/xpv_echofront.ko", module.read_bytes())
        host.push(build / "echo-device")
        self._echoback = host.write_program("echoback", (build / "echoback").read_bytes())
        self.backend = None

    def attach(self, misbehave=""):
        self.host.run(f"sh /share/echo-device attach {self.guest.domid} 0")
        self.backend = self.host.start(f"exec {self._echoback} {self.guest.domid} 0 {misbehave}")

    def detach(self, check=True):
        self.host.run(f"sh /share/echo-device detach {self.guest.domid} 0", check=check)

    def load(self):
        self.guest.run("insmod /tmp/xpv_echofront.ko")
        wait_until(self.guest, "[ -c /dev/xpvecho ]")

    def pump(self, size):
        self.guest.run(PUMP.format(size=size), timeout=300)

    def wait_for_error(self, text):
        path = f"/local/domain/{self.guest.domid}/error/device/xpvecho/0/error"
        wait_until(self.host, f"xenstore-read {path} 2>/dev/null | grep -q '{text}'")


@pytest.fixture
def echo(xpv, host, tmp_path):
    one = Echo(xpv, host, tmp_path)
    yield one
    one.detach(check=False)
    if one.backend and one.backend.running():
        one.backend.kill()


@pytest.mark.vcpus(2)
def test_echo(xpv, host, echo):
    ports = xenstate.open_ports(host, xpv.domid)
    granted = xenstate.granted(host, xpv.domid)
    xpv.load_xpv()
    echo.attach()
    echo.load()
    echo.pump(256 << 10)
    assert "xpvecho" in xpv.run("cat /proc/interrupts").out

    # Without the module and with it again: the backend serves the next one.
    xpv.run("rmmod xpv_echofront; test ! -e /dev/xpvecho")
    echo.load()
    echo.pump(10000)

    # Taken away under a reader.
    reader = xpv.start("exec head -c 1 /dev/xpvecho")
    time.sleep(1)
    assert reader.running()
    echo.detach()
    result = reader.wait(60)
    assert result.status and "No such device" in result.err
    assert echo.backend.wait(60).status == 0
    wait_until(echo.guest, "[ ! -e /dev/xpvecho ]")
    assert not xpv.run("ls /sys/bus/xpv/devices").out.count("xpvecho")

    # And another one.
    echo.attach()
    wait_until(echo.guest, "[ -c /dev/xpvecho ]")
    echo.pump(10000)
    xpv.unload_xpv()
    echo.detach()
    assert xenstate.open_ports(host, xpv.domid) == ports
    assert xenstate.granted(host, xpv.domid) == granted


@pytest.mark.vcpus(2)
def test_backend_that_lies(xpv, host, echo):
    """Case 1, for the example's ring of bytes. The backend announces more bytes
    than the ring holds. A frontend that believes it copies old contents of the
    page to user space. Its device must fail, with the reason in xenstore for
    dom0 to read, and the disk go on."""
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    echo.attach(misbehave=5000)
    echo.load()
    result = xpv.start("head -c 10000 /dev/zero >/dev/xpvecho & head -c 10000 /dev/xpvecho | wc -c; wait").wait(120)
    assert int(result.out) < 10000
    assert "Input/output error" in result.err or "No such device" in result.err
    wait_until(echo.guest, "[ ! -e /dev/xpvecho ]")
    echo.wait_for_error("illegal response_produced in the ring")
    xpv.run(f"dd if={node} of=/dev/null bs=1M count=4 iflag=direct status=none")
    xpv.unload_xpv()
