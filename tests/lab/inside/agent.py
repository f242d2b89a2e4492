#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The lab's hand inside dom0 and the guests: runs what it is told on a
character device (virtio-serial, UART, PV console).

A frame is MAGIC, type, flags, id, length, CRC, payload; see FRAME below and
xpvlab/channel.py, the other end. Bytes that are no valid frame are skipped,
so a line that echoes, or a half-sent frame, does no lasting harm.

  to the agent                          from the agent
  H  are you there                      H  I am here
  R  run a shell script                 O  its standard output
  P  run one on a terminal              E  its standard error
  I  input for a terminal, socket, tty  X  its exit status, it is over
  K  kill it                            F  the socket or tty is closed
  C  connect to a Unix socket or tty    A  it is connected
  F  close it
  W  append to a file (path NUL data)

What goes to an agent on a tty is escaped, see escape().
"""

import errno
import fcntl
import os
import pty
import select
import signal
import socket
import stat
import struct
import sys
import termios
import tty
import zlib

MAGIC = b"XPV\x02"
FRAME = struct.Struct("<4sccIII")     # magic, type, flags, id, length, crc
CHUNK = 16384


def encode(kind, ident, data=b""):
    flags = b"\0"
    if len(data) > 128:
        packed = zlib.compress(data, 6)
        if len(packed) < len(data):
            data, flags = packed, b"z"
    crc = zlib.crc32(kind + flags + struct.pack("<I", ident) + data)
    return FRAME.pack(MAGIC, kind, flags, ident, len(data), crc) + data


def escape(data):
    """A kernel whose console is on the same tty takes Ctrl-O for the prefix
    of a SysRq command, so that byte must never be seen."""
    return data.replace(b"\x10", b"\x10P").replace(b"\x0f", b"\x10O")


class Unescaper:
    """Undoes escape(), on pieces cut anywhere."""

    def __init__(self):
        self.rest = b""

    def feed(self, data):
        data = self.rest + data
        whole = len(data) - data.endswith(b"\x10")
        data, self.rest = data[:whole], data[whole:]
        return data.replace(b"\x10O", b"\x0f").replace(b"\x10P", b"\x10")


class Decoder:
    """Bytes in, frames out. `noise` is what was between them."""

    def __init__(self):
        self.data = bytearray()
        self.noise = bytearray()

    def feed(self, data):
        self.data += data
        while True:
            start = self.data.find(MAGIC)
            if start < 0:
                keep = min(len(self.data), len(MAGIC) - 1)
                self.skip(len(self.data) - keep)
                return
            self.skip(start)
            if len(self.data) < FRAME.size:
                return
            _, kind, flags, ident, length, crc = FRAME.unpack_from(self.data)
            if length > 1 << 20:
                self.skip(1)
                continue
            if len(self.data) < FRAME.size + length:
                return
            body = bytes(self.data[FRAME.size:FRAME.size + length])
            if zlib.crc32(kind + flags + struct.pack("<I", ident) + body) != crc:
                self.skip(1)
                continue
            del self.data[:FRAME.size + length]
            yield kind, ident, zlib.decompress(body) if flags == b"z" else body

    def skip(self, count):
        self.noise += self.data[:count]
        del self.noise[:-1 << 20]
        del self.data[:count]


class Agent:
    def __init__(self, device):
        self.fd = os.open(device, os.O_RDWR | os.O_NOCTTY)
        self.unescaper = None
        if os.isatty(self.fd):
            tty.setraw(self.fd)
            termios.tcflush(self.fd, termios.TCIOFLUSH)
            self.unescaper = Unescaper()
        self.decoder = Decoder()
        self.poll = select.poll()
        self.poll.register(self.fd, select.POLLIN)
        self.sources = {}       # fd -> (id, frame type)
        self.children = {}      # pid -> id
        self.inputs = {}        # id -> fd of a terminal, socket or tty
        self.backlog = {}       # id -> bytes waiting for a socket or tty
        read, write = os.pipe()
        os.set_blocking(write, False)
        os.set_blocking(read, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        self.wakeup = read
        self.poll.register(read, select.POLLIN)

    def send(self, kind, ident, data=b""):
        frame = memoryview(encode(kind, ident, data))
        while frame:
            frame = frame[os.write(self.fd, frame[:4096]):]

    def loop(self):
        self.send(b"H", 0)
        while True:
            for fd, events in self.poll.poll():
                if fd == self.fd:
                    self.on_device(events)
                elif fd == self.wakeup:
                    try:
                        os.read(fd, 4096)
                    except BlockingIOError:
                        pass
                elif fd in self.sources:
                    self.on_source(fd, events)
            self.reap()

    def on_device(self, events):
        data = os.read(self.fd, 65536) if events & select.POLLIN else b""
        if not data:
            # The other end is not connected (virtio-serial): do not spin.
            select.select([], [], [], 0.2)
            return
        if self.unescaper:
            data = self.unescaper.feed(data)
        for kind, ident, body in self.decoder.feed(data):
            handler = self.HANDLERS.get(kind)
            if handler:
                try:
                    handler(self, ident, body)
                except OSError as error:
                    self.send(b"E", ident, f"agent: {error}\n".encode())
                    self.send(b"X", ident, struct.pack("<i", 255))

    def hello(self, ident, _body):
        self.send(b"H", ident)

    def run(self, ident, body):
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        pid = os.fork()
        if not pid:
            os.setsid()
            null = os.open("/dev/null", os.O_RDONLY)
            self.become(body, null, out_write, err_write)
        os.close(out_write)
        os.close(err_write)
        self.children[pid] = ident
        self.add(out_read, ident, b"O")
        self.add(err_read, ident, b"E")

    def run_on_terminal(self, ident, body):
        rows, cols = struct.unpack_from("<HH", body)
        pid, master = pty.fork()
        if not pid:
            self.become(body[4:], 0, 1, 2)
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        self.children[pid] = ident
        self.inputs[ident] = master
        self.add(master, ident, b"O")

    @staticmethod
    def become(script, stdin, stdout, stderr):
        """In the child: turn into a shell. Never returns."""
        try:
            for number, fd in enumerate((stdin, stdout, stderr)):
                os.dup2(fd, number)
            os.closerange(3, 1024)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.chdir("/root")
            # By file descriptor: a script may be longer than an argument.
            memory = os.memfd_create("script", 0)
            os.write(memory, script)
            os.execv("/bin/bash", ["bash", f"/proc/self/fd/{memory}"])
        finally:
            os._exit(127)

    def add(self, fd, ident, kind):
        os.set_blocking(fd, False)
        self.sources[fd] = (ident, kind)
        self.poll.register(fd, select.POLLIN)

    def drop(self, fd):
        ident, kind = self.sources.pop(fd)
        self.poll.unregister(fd)
        if self.inputs.get(ident) == fd:
            del self.inputs[ident]
            self.backlog.pop(ident, None)
        os.close(fd)

    def on_source(self, fd, events):
        ident, kind = self.sources[fd]
        if events & select.POLLOUT:
            self.flush(ident)
        if events & (select.POLLIN | select.POLLHUP | select.POLLERR):
            try:
                data = os.read(fd, CHUNK)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in (errno.EIO, errno.ECONNRESET):
                    raise
                data = b""
            if data:
                self.send(kind, ident, data)
            else:
                self.drop(fd)
                if kind == b"D":
                    self.send(b"F", ident)

    def reap(self):
        while self.children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            ident = self.children.pop(pid, None)
            if ident is None:
                continue
            for fd in [f for f, (i, _) in self.sources.items() if i == ident]:
                while fd in self.sources and select.select([fd], [], [], 0)[0]:
                    self.on_source(fd, select.POLLIN)
                if fd in self.sources:      # a grandchild holds it open
                    self.drop(fd)
            self.send(b"X", ident, struct.pack("<i", os.waitstatus_to_exitcode(status)))

    def kill(self, ident, _body):
        for pid, one in self.children.items():
            if one == ident:
                os.killpg(pid, signal.SIGKILL)

    def connect(self, ident, body):
        path = body.decode()
        try:
            if stat.S_ISCHR(os.stat(path).st_mode):
                fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
                tty.setraw(fd)
            else:
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(path)
                    fd = sock.detach()
        except OSError:
            self.send(b"F", ident)
            return
        self.inputs[ident] = fd
        self.backlog[ident] = b""
        self.add(fd, ident, b"D")
        self.send(b"A", ident)

    def feed(self, ident, body):
        fd = self.inputs.get(ident)
        if ident in self.backlog:
            self.backlog[ident] += body
            self.flush(ident)
        elif fd is not None:
            os.set_blocking(fd, True)
            os.write(fd, body)
            os.set_blocking(fd, False)

    def flush(self, ident):
        """A socket or tty is written as it takes it: its other end may be a
        guest that does not read, and dom0's agent must go on."""
        fd = self.inputs[ident]
        data = self.backlog[ident]
        try:
            data = data[os.write(fd, data):] if data else data
        except BlockingIOError:
            pass
        except OSError:
            data = b""
        self.backlog[ident] = data
        self.poll.modify(fd, select.POLLIN | (select.POLLOUT if data else 0))

    def disconnect(self, ident, _body):
        if ident in self.backlog:
            self.drop(self.inputs[ident])

    def append(self, ident, body):
        path, _, data = body.partition(b"\0")
        with open(path.decode(), "ab") as file:
            file.write(data)
        self.send(b"X", ident, struct.pack("<i", 0))

    HANDLERS = {b"H": hello, b"R": run, b"P": run_on_terminal, b"I": feed, b"K": kill,
                b"C": connect, b"F": disconnect, b"W": append}


if __name__ == "__main__":
    Agent(sys.argv[1]).loop()
