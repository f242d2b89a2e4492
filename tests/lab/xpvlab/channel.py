# SPDX-License-Identifier: GPL-2.0-only
"""The lab's end of the command channel; inside/agent.py is the other, and
has the protocol.

A channel carries any number of commands at once. A guest's channel runs
through dom0's: dom0's agent connects to the Unix socket of an HVM guest's
virtio-serial port, or to the tty of another guest's console, and relays it.
"""

import importlib.util
import itertools
import socket
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from .errors import GuestDied, LabError

_spec = importlib.util.spec_from_file_location(
    "xpvlab_agent", Path(__file__).parent.parent / "inside" / "agent.py")
agent = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(agent)


@dataclass
class Result:
    status: int
    out: str
    err: str


class CommandTimeout(LabError):
    """A command did not end in time."""


class Job:
    """A command that runs."""

    def __init__(self, channel, ident, script):
        self.channel = channel
        self.ident = ident
        self.script = script
        self.out = bytearray()
        self.err = bytearray()
        self.status = None
        self.failure = None
        self.done = threading.Event()
        self.on_output = None

    def frame(self, kind, body):
        if kind == b"O":
            if self.on_output:
                self.on_output(body)
            else:
                self.out += body
        elif kind == b"E":
            self.err += body
        elif kind == b"X":
            self.status, = struct.unpack("<i", body)
            self.done.set()

    def fail(self, reason):
        self.failure = reason
        self.done.set()

    def running(self):
        return not self.done.is_set()

    def kill(self):
        self.channel.send(b"K", self.ident)

    def feed(self, data):
        self.channel.send(b"I", self.ident, data)

    def wait(self, timeout=120):
        """Its Result; CommandTimeout or GuestDied if there is none."""
        if not self.done.wait(timeout):
            raise CommandTimeout(
                f"{self.channel.name}: no end after {timeout} s: {self.script.strip()[:400]}\n"
                f"--- stdout so far\n{self.out[-2000:].decode(errors='replace')}\n"
                f"--- stderr so far\n{self.err[-2000:].decode(errors='replace')}")
        if self.failure:
            raise GuestDied(f"{self.channel.name}: {self.failure} during: "
                            f"{self.script.strip()[:400]}")
        return Result(self.status, self.out.decode(errors="replace"),
                      self.err.decode(errors="replace"))


class Relay:
    """A byte stream to a Unix socket or tty in dom0, over dom0's channel."""

    def __init__(self, channel, path):
        self.channel = channel
        self.receive = None
        self.closed = None
        self.open = threading.Event()
        self.over = threading.Event()
        self.ident = channel.register(self)
        channel.send(b"C", self.ident, path.encode())

    def connected(self, timeout=10):
        end = time.monotonic() + timeout
        while time.monotonic() < end and not self.over.is_set():
            if self.open.wait(0.05):
                return True
        return False

    def frame(self, kind, body):
        if kind == b"A":
            self.open.set()
        elif kind == b"D" and self.receive:
            self.receive(body)
        elif kind == b"F":
            self.fail("closed")

    def fail(self, reason):
        if not self.over.is_set():
            self.over.set()
            if self.closed:
                self.closed(reason)

    def write(self, data):
        for start in range(0, len(data), 32768):
            self.channel.send(b"I", self.ident, data[start:start + 32768])

    def close(self):
        if not self.over.is_set():
            self.channel.send(b"F", self.ident)
        self.channel.forget(self.ident)


class SocketStream:
    """A byte stream to a Unix socket of this machine."""

    def __init__(self, path):
        self.receive = None
        self.closed = None
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(path))

    def start(self):
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            try:
                data = self.sock.recv(65536)
            except OSError:
                data = b""
            if not data:
                self.closed("connection closed")
                return
            self.receive(data)

    def write(self, data):
        self.sock.sendall(data)

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


class Channel:
    def __init__(self, name, stream, escaped=False, previous=None):
        """`previous` is the channel that this one replaces: commands of it
        may still run, and their frames must not be taken for others'."""
        self.name = name
        self.escaped = escaped      # the agent is on a tty
        self.stream = stream
        self.dead = None
        self._decoder = agent.Decoder()
        self._lock = threading.Lock()
        self._ids = previous._ids if previous else itertools.count(1)
        self._open = {}
        self._hello = threading.Event()
        stream.receive = self._receive
        stream.closed = self._closed
        if isinstance(stream, SocketStream):
            stream.start()

    def register(self, handler):
        ident = next(self._ids)
        self._open[ident] = handler
        if self.dead:
            handler.fail(self.dead)
        return ident

    def forget(self, ident):
        self._open.pop(ident, None)

    def send(self, kind, ident, data=b""):
        if self.dead:
            raise GuestDied(f"{self.name}: {self.dead}")
        frame = agent.encode(kind, ident, data)
        with self._lock:
            try:
                self.stream.write(agent.escape(frame) if self.escaped else frame)
            except OSError as error:
                self._closed(str(error))
                raise GuestDied(f"{self.name}: {error}") from error

    def _receive(self, data):
        for kind, ident, body in self._decoder.feed(data):
            if kind == b"H":
                self._hello.set()
            handler = self._open.get(ident)
            if handler:
                handler.frame(kind, body)
                if kind == b"X":
                    self.forget(ident)

    def _closed(self, reason):
        if not self.dead:
            self.dead = reason
            for handler in list(self._open.values()):
                handler.fail(reason)

    def alive(self, timeout=1.0):
        """Does the agent answer?"""
        self._hello.clear()
        self.send(b"H", 0)
        return self._hello.wait(timeout)

    def start(self, script):
        """Start a shell script; returns its Job at once."""
        job = Job(self, 0, script)
        job.ident = self.register(job)
        data = script.encode()
        self.send(b"R", job.ident, data)
        return job

    def start_terminal(self, script, on_output, rows=24, cols=80):
        job = Job(self, 0, script)
        job.on_output = on_output
        job.ident = self.register(job)
        self.send(b"P", job.ident, struct.pack("<HH", rows, cols) + script.encode())
        return job

    def write_file(self, path, data, timeout=120):
        """Create a file with this content."""
        self.start(f"rm -f '{path}'").wait(timeout)
        for start in range(0, max(len(data), 1), 16384):
            job = Job(self, 0, f"write {path}")
            job.ident = self.register(job)
            self.send(b"W", job.ident, path.encode() + b"\0" + data[start:start + 16384])
            result = job.wait(timeout)
            if result.status:
                raise LabError(f"{self.name}: cannot write {path}: {result.err}")

    def close(self):
        self.stream.close()
