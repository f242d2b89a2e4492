# SPDX-License-Identifier: GPL-2.0-only
"""An interface of a guest that the network benchmark measures, and what both ends count of it."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lab"))

from xpvlab import built  # noqa: E402
from xpvlab.nettest import Net  # noqa: E402

# Addresses that nobody has. Packets to them are dropped where they are received, without an answer.
NOBODY_HERE, NOBODY_IN_DOM0 = "10.77.254.1", "10.77.254.2"
PATIENCE = 600
# What a frontend says in xenstore of what it can do.
FRONTEND = ("feature-sg", "feature-gso-tcpv4", "feature-gso-tcpv6", "feature-no-csum-offload", "feature-ipv6-csum-offload",
            "feature-rx-notify", "request-rx-copy", "multi-queue-num-queues")
OFFLOADS = ("rx-checksumming", "tx-checksumming", "scatter-gather", "tcp-segmentation-offload", "tx-tcp-segmentation",
            "tx-tcp6-segmentation", "generic-segmentation-offload", "generic-receive-offload")


def interrupts(text, vif):
    """How many /proc/interrupts has of a vif's channels, all CPUs and queues together."""
    line = re.compile(rf"\s*\d+:((?:\s+\d+)+)\s.*\b{re.escape(vif)}-q\d+(?:-[rt]x)?\s*$")
    found = [sum(map(int, match[1].split())) for match in map(line.match, text.splitlines()) if match]
    if not found:
        sys.exit(f"no interrupts of {vif}")
    return sum(found)


def keys(listing):
    """{path: value} of what xenstore-ls prints with no indentation."""
    return dict(re.findall(r'^(\S+) = "(.*)"', listing, re.M))


def differences(intree, xpv):
    """What is not equal of two interfaces' features."""
    return {key: (intree.get(key), xpv.get(key)) for key in {**intree, **xpv} if intree.get(key) != xpv.get(key)}


def check_equal(intree, xpv):
    """Print the features of both; they must be equal."""
    print("| feature | in-tree | xpv |")
    print("|---|---|---|")
    for key in sorted({**intree, **xpv}):
        print(f"| {key} | {intree.get(key)} | {xpv.get(key)} |")
    print(flush=True)
    found = differences(intree, xpv)
    if found:
        sys.exit(f"the features are not equal (in-tree, xpv): {found}")


def bring_load(machine):
    """inside/netload.c, to dom0 or a guest; its path there."""
    return machine.write_program("netload", built.program("netload"))


class Interface(Net):
    """Up, and known to its neighbours."""

    def __init__(self, guest, host, number=0):
        super().__init__(guest, host, number)
        self.number = number
        self.bridge = host.run("cat /sys/class/net/xenbr0/address").out.strip()
        guest.run(f"ip neigh replace {NOBODY_IN_DOM0} lladdr {self.bridge} dev {self.name} nud permanent")
        self.ping()
        self._dropped = self.counters()

    def be_nobody(self):
        """What dom0 sends to NOBODY_HERE comes here from now on."""
        self.host.run(f"ip neigh replace {NOBODY_HERE} lladdr {self.mac} dev xenbr0 nud permanent")

    def features(self):
        """What was negotiated, and Linux's offloads."""
        frontend = f"/local/domain/{self.guest.domid}/device/vif/{self.number}"
        backend = f"/local/domain/0/backend/vif/{self.guest.domid}/{self.number}"
        front, back = (keys(self.host.run(f"xenstore-ls -f {path}").out) for path in (frontend, backend))
        found = {f"frontend's {key}": front.get(f"{frontend}/{key}") for key in FRONTEND}
        found["queues"] = found.pop("frontend's multi-queue-num-queues") or "1"
        # A key that is not there says the same.
        found["frontend's feature-no-csum-offload"] = found["frontend's feature-no-csum-offload"] or "0"
        found["split event channels"] = any(path.endswith("/event-channel-tx") for path in front)
        found.update((f"backend's {path.rpartition('/')[2]}", value) for path, value in back.items()
                     if re.search(r"/(feature-[^/]*|multi-queue-[^/]*)$", path))
        offloads = dict(re.findall(r"^\s*(\S+): (on|off)", self.guest.run(f"ethtool -k {self.name}").out, re.M))
        found.update((key, offloads.get(key)) for key in OFFLOADS)
        found["mtu"] = self.guest.run(f"cat /sys/class/net/{self.name}/mtu").out.strip()
        return found

    def so_far(self):
        """Packets out and in, as the guest has them and as dom0 has them, and
        interrupts of the frontend and of netback."""
        found = {}
        for side, machine, device, vif in (("guest", self.guest, self.name, f"vif{self.number}"),
                                           ("dom0", self.host, self.vif, self.vif)):
            text = machine.run(f"cat /sys/class/net/{device}/statistics/{{tx,rx}}_packets /proc/interrupts").out
            sent, received, table = text.split("\n", 2)
            found[side, "sent"], found[side, "received"] = int(sent), int(received)
            found[side, "interrupts"] = interrupts(table, vif)
        return found

    def check(self):
        """Nothing was dropped."""
        if self.counters() != self._dropped:
            sys.exit(f"{self.guest.name}: errors or dropped packets: {self.counters()}, before {self._dropped}")


class Passed:
    """`with` it: what passes through an interface meanwhile."""

    def __init__(self, interface, direction):
        self._interface = interface
        self._inwards = direction == "in"

    def __enter__(self):
        self._before = self._interface.so_far()
        return self

    def __exit__(self, kind, *_):
        if kind:
            return
        now = self._interface.so_far()
        passed = {what: now[what] - before for what, before in self._before.items()}
        # Where they arrived.
        self.packets = passed["guest" if self._inwards else "dom0", "received"]
        carried = max(1, passed["guest", "received" if self._inwards else "sent"])
        self.interrupts = 1000 * passed["guest", "interrupts"] / carried
        self.events = 1000 * passed["dom0", "interrupts"] / carried
