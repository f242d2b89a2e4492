# SPDX-License-Identifier: GPL-2.0-only
"""Traffic between a guest with xpv and dom0, checked at both ends."""

from . import initrd
from .guest import AS_LOAD
from .waiting import until, wait_until

DOM0 = "10.77.0.1"
PROGRAMS = ("netpeer.py", "netecho.py")


class Net:
    """The guest's first interface, up, with its address."""

    def __init__(self, guest, host, number=0):
        self.guest = guest
        self.host = host
        self.number = number
        self.mac = guest.mac(number)
        wait_until(guest, f"grep -q {self.mac} /sys/class/net/*/address")
        self.name = guest.run(f"basename $(dirname $(grep -l {self.mac} /sys/class/net/*/address))").out.strip()
        self.address = guest.net_up(number)
        self.vif = host.run(f"ls /sys/class/net | grep '^vif{guest.domid}\\.{number}$'").out.strip()
        wait_until(guest, f"[ $(cat /sys/class/net/{self.name}/carrier) = 1 ]")
        for program in PROGRAMS:
            text = (initrd.INSIDE / program).read_text()
            guest.write_program(program, text)
            host.run(f"cat >/run/lab/{program} <<'END'\n{text}END")
        self._port = 5000

    def ping(self, count=3, size=56, options=""):
        """Ping dom0; returns what ping prints."""
        return self.guest.run(f"ping {options} -c {count} -s {size} -W 10 -i 0.2 {DOM0}", timeout=120).out.strip()

    def listen(self):
        """A peer in dom0; its job and its port."""
        self._port += 1
        # The progress of an earlier guest's connection is not this one's.
        job = self.host.start(f"rm -f /run/lab/net.{self._port}; "
                              f"exec python3 /run/lab/netpeer.py listen {self._port} /run/lab/net.{self._port}")
        wait_until(self.host, f"ss -ltn | grep -q ':{self._port} '")
        return job, self._port

    def exchange(self, chunks=32, address=DOM0, timeout=300):
        """Chunks of 64 KiB each way over one connection, equal at both ends."""
        job, port = self.listen()
        there = self.guest.run(f"{AS_LOAD} python3 /tmp/netpeer.py connect {address} {port} {chunks}", timeout=timeout)
        back = job.wait(timeout)
        assert back.status == 0, back.err
        assert int(back.out) == chunks
        assert int(there.out) > 0

    def echo(self, address, sizes, timeout=300):
        """Datagrams of these sizes to dom0 and back."""
        self._port += 1
        job = self.host.start(f"exec python3 /run/lab/netecho.py serve {self._port}")
        wait_until(self.host, f"ss -lun | grep -q ':{self._port} '")
        self.guest.run(f"python3 /tmp/netecho.py ask {address} {self._port} {' '.join(map(str, sizes))}", timeout=timeout)
        assert job.wait(timeout).status == 0

    def stream(self):
        return Stream(self)

    def rebind_backend(self):
        """netback goes away and comes back, and the interface is connected again."""
        device = f"vif-{self.guest.domid}-{self.number}"
        # netback forgets that its hotplug script has run; xl runs no script here.
        self.host.run(f"""
            echo {device} >/sys/bus/xen-backend/drivers/vif/unbind
            sleep 2
            echo {device} >/sys/bus/xen-backend/drivers/vif/bind
            until ip link set {self.vif} master xenbr0 up 2>/dev/null; do sleep 0.2; done
            xenstore-write /local/domain/0/backend/vif/{self.guest.domid}/{self.number}/hotplug-status connected""",
                      timeout=60)
        wait_until(self.guest, f"[ $(cat /sys/class/net/{self.name}/carrier) = 1 ]")

    def counters(self):
        text = self.guest.run(f"ip -s -s link show dev {self.name}; cat /sys/class/net/{self.name}/statistics/"
                              "{rx,tx}_{errors,dropped}").out
        return [int(word) for word in text.split()[-4:]]


class Stream:
    """A connection that goes on until it is told to stop."""

    def __init__(self, net):
        self._net = net
        self._job, port = net.listen()
        self._progress = f"/run/lab/net.{port}"
        net.guest.run(f"rm -f /tmp/stream /tmp/stream.*; setsid {AS_LOAD} python3 /tmp/netpeer.py connect {DOM0} {port} 0 "
                      "/tmp/stream >/tmp/stream.out 2>&1 &")
        self.progress()

    def count(self):
        return int(self._net.host.run(f"cat {self._progress} 2>/dev/null || echo 0").out)

    def progress(self, chunks=4, seconds=120):
        """Wait until dom0 has received some more."""
        goal = self.count() + chunks
        until(lambda: self.count() >= goal, seconds)

    def stop(self, timeout=180):
        """Both ends received what the other had sent; how many chunks dom0 did."""
        self._net.guest.run("touch /tmp/stream.stop")
        result = self._job.wait(timeout)
        assert result.status == 0, result.err
        wait_until(self._net.guest, "grep -q . /tmp/stream.out")
        assert self._net.guest.run("cat /tmp/stream.out").out.strip().isdigit()
        return int(result.out)
