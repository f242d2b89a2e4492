#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the lab does to xenstored from dom0, faster than xl and the xenstore
tools can: it speaks the protocol of xen/io/xs_wire.h over the daemon's socket.

    storetool.py flood PATH COUNT [--nodes N] [--value TEXT]
        COUNT writes as fast as the daemon takes them, all to PATH, or in turn
        to N nodes below it; says how many seconds they took
    storetool.py add DOMAIN NUMBER... [--backend DOMAIN] [--device FILE | --physical MAJOR:MINOR]
                     [--type TYPE] [--wait SECONDS]
        block devices with these numbers, all in one transaction, as xl
        attaches them but without a hotplug script. The device is a file of
        dom0's, or a device number of the backend's domain; without one the
        backend lacks what it needs to get connected. --wait: until all
        frontends are connected; says how many seconds it took
    storetool.py move DOMAIN NUMBER... [the same options]
        new backends for frontends that are there, which are told of them and
        otherwise left alone: what a toolstack does when a driver domain has
        been made again. Not with --wait
    storetool.py wait DOMAIN NUMBER... [--wait SECONDS]
        until all frontends are connected
    storetool.py remove DOMAIN NUMBER... [--backend DOMAIN] [--type TYPE] [--wait SECONDS]
        as xl detaches them: the backend is told to close, and after SECONDS
        the nodes go in any case; says which backends had not closed
"""

import argparse
import os
import select
import socket
import struct
import sys
import time

DIRECTORY, READ, WATCH, START, END = 1, 2, 4, 6, 7
WRITE, MKDIR, RM, SET_PERMS, EVENT, ERROR = 11, 12, 13, 14, 15, 16
HEADER = struct.Struct("=IIII")
SOCKETS = ("/run/xenstored/socket", "/var/run/xenstored/socket")
IN_FLIGHT = 64
CONNECTED, CLOSED = "4", "6"


class Refused(Exception):
    pass


class Store:
    def __init__(self):
        path = next(filter(os.path.exists, SOCKETS))
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.buffer = b""
        self.events = []

    def send(self, type, *parts, transaction=0):
        body = b"".join(part.encode() for part in parts)
        self.socket.sendall(HEADER.pack(type, 0, transaction, len(body)) + body)

    def _message(self):
        while True:
            if len(self.buffer) >= HEADER.size:
                type, _, _, length = HEADER.unpack_from(self.buffer)
                if len(self.buffer) >= HEADER.size + length:
                    body = self.buffer[HEADER.size:HEADER.size + length]
                    self.buffer = self.buffer[HEADER.size + length:]
                    return type, body.rstrip(b"\0").decode()
            data = self.socket.recv(65536)
            if not data:
                sys.exit("xenstored closed the connection")
            self.buffer += data

    def answer(self):
        while True:
            type, body = self._message()
            if type == EVENT:
                self.events.append(body.split("\0"))
            elif type == ERROR:
                raise Refused(body)
            else:
                return body

    def ask(self, type, *parts, transaction=0):
        self.send(type, *parts, transaction=transaction)
        return self.answer()

    def read(self, path):
        try:
            return self.ask(READ, path, "\0")
        except Refused:
            return None

    def write(self, path, value, transaction=0):
        self.ask(WRITE, path, "\0", value, transaction=transaction)

    def remove(self, path):
        try:
            self.ask(RM, path, "\0")
        except Refused:
            pass

    def transaction(self, body):
        """Run body(number), again while others are in its way; the time of
        the commit that succeeded."""
        while True:
            number = int(self.ask(START, "\0"))
            body(number)
            started = time.monotonic()
            try:
                self.ask(END, "T\0", transaction=number)
                return started
            except Refused as refusal:
                if str(refusal) != "EAGAIN":
                    raise

    def wait_for_event(self, end):
        """False if the time is over."""
        if not self.events and not self.buffer:
            if not select.select([self.socket], [], [], max(0, end - time.monotonic()))[0]:
                return False
        if not self.events:
            type, body = self._message()
            if type == EVENT:
                self.events.append(body.split("\0"))
        self.events.clear()
        return True


def flood(store, options):
    paths = [f"{options.path}/{n}" for n in range(options.nodes)] if options.nodes else [options.path]
    started = time.monotonic()
    for first in range(0, options.count, IN_FLIGHT):
        numbers = range(first, min(first + IN_FLIGHT, options.count))
        for number in numbers:
            store.send(WRITE, paths[number % len(paths)], "\0", options.value or str(number))
        for _ in numbers:
            store.answer()
    print(f"{time.monotonic() - started:.2f}")


def frontend(options, number):
    return f"/local/domain/{options.domain}/device/vbd/{number}"


def backend(options, number):
    return f"/local/domain/{options.backend}/backend/{options.type}/{options.domain}/{number}"


def physical(options):
    if options.device:
        device = os.stat(options.device).st_rdev
        return {"physical-device": f"{os.major(device):x}:{os.minor(device):x}", "params": options.device}
    return {"physical-device": options.physical} if options.physical else {}


def add_backend(store, options, number, transaction):
    path = backend(options, number)
    store.ask(MKDIR, path, "\0", transaction=transaction)
    store.ask(SET_PERMS, path, "\0", f"n{options.backend}\0r{options.domain}\0", transaction=transaction)
    for name, value in {"frontend": frontend(options, number), "frontend-id": str(options.domain), "online": "1",
                        "removable": "0", "bootable": "1", "dev": f"lab{number}", "type": "phy", "mode": "w",
                        "device-type": "disk", "hotplug-status": "connected", **physical(options),
                        "state": "1"}.items():
        store.write(f"{path}/{name}", value, transaction)


def move(store, options):
    def one(number, transaction):
        path = frontend(options, number)
        add_backend(store, options, number, transaction)
        # The new domain may read what is there already.
        names = store.ask(DIRECTORY, path, "\0", transaction=transaction).split("\0")
        for node in [path, *(f"{path}/{name}" for name in names if name)]:
            store.ask(SET_PERMS, node, "\0", f"n{options.domain}\0r{options.backend}\0", transaction=transaction)
        store.write(f"{path}/backend-id", str(options.backend), transaction)
        store.write(f"{path}/backend", backend(options, number), transaction)

    def all_of_them(transaction):
        for number in options.numbers:
            one(number, transaction)

    store.transaction(all_of_them)


def add(store, options):
    guest, domain = options.domain, options.backend

    def one(number, transaction):
        theirs = frontend(options, number)
        add_backend(store, options, number, transaction)
        store.ask(MKDIR, theirs, "\0", transaction=transaction)
        store.ask(SET_PERMS, theirs, "\0", f"n{guest}\0r{domain}\0", transaction=transaction)
        for name, value in {"backend": backend(options, number), "backend-id": str(domain),
                            "virtual-device": str(number), "device-type": "disk", "state": "1"}.items():
            store.write(f"{theirs}/{name}", value, transaction)

    def all_of_them(transaction):
        for number in options.numbers:
            one(number, transaction)

    if options.wait:
        watch_states(store, options)
    started = store.transaction(all_of_them)
    if options.wait:
        wait_for_states(store, options, started)


def watch_states(store, options):
    for number in options.numbers:
        path = frontend(options, number) + "/state"
        store.ask(WATCH, path, "\0", path, "\0")


def wait_for_states(store, options, started):
    end = started + options.wait
    missing = list(options.numbers)
    while missing:
        missing = [number for number in missing if store.read(frontend(options, number) + "/state") != CONNECTED]
        if missing and not store.wait_for_event(end):
            sys.exit(f"not connected in {options.wait} s: {missing}")
    print(f"{time.monotonic() - started:.6f}")


def wait(store, options):
    watch_states(store, options)
    wait_for_states(store, options, time.monotonic())


def remove(store, options):
    missing = [number for number in options.numbers if store.read(backend(options, number) + "/state") is not None]
    for number in missing:
        store.write(backend(options, number) + "/online", "0")
        store.write(backend(options, number) + "/state", "5")
    end = time.monotonic() + options.wait
    while missing and time.monotonic() < end:
        missing = [number for number in missing
                   if store.read(backend(options, number) + "/state") not in (CLOSED, None)]
        time.sleep(0.1)
    for number in options.numbers:
        store.remove(frontend(options, number))
        store.remove(backend(options, number))
    print(*missing)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("flood")
    command.add_argument("path")
    command.add_argument("count", type=int)
    command.add_argument("--nodes", type=int, default=0)
    command.add_argument("--value")
    for name, seconds in (("add", 0), ("move", 0), ("wait", 60), ("remove", 10)):
        command = commands.add_parser(name)
        command.add_argument("domain", type=int)
        command.add_argument("numbers", type=int, nargs="+")
        command.add_argument("--backend", type=int, default=0)
        command.add_argument("--device")
        command.add_argument("--physical")
        command.add_argument("--type", default="vbd")
        command.add_argument("--wait", type=float, default=seconds)
    options = parser.parse_args()
    {"flood": flood, "add": add, "move": move, "wait": wait, "remove": remove}[options.command](Store(), options)


if __name__ == "__main__":
    main()
