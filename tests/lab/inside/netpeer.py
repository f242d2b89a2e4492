#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""One end of a TCP connection whose content is checked in both directions.

    netpeer.py listen PORT [PROGRESS]
    netpeer.py connect HOST PORT CHUNKS [PROGRESS]

Each end sends chunks of bytes that the other can make too, and compares what
it receives, byte by byte. After CHUNKS, or with 0 once the file PROGRESS.stop
is there, the connecting end closes its direction, and then the other does.
PROGRESS is a file with the number of chunks received so far. Prints the number
of chunks received; exits with 1 at the first difference.
"""

import os
import random
import socket
import sys
import threading

CHUNK = 1 << 16
# Sizes of what is given to the kernel at a time: odd ones, small ones, a page and more.
PIECES = (1, 7, 536, 1448, 4095, 4096, 4097, 20000, CHUNK)


def chunks(seed):
    source = random.Random(seed)
    while True:
        yield source.randbytes(CHUNK)


def send(connection, seed, count, stopped):
    pieces = random.Random(0)
    for number, chunk in enumerate(chunks(seed)):
        if stopped(number) or number == count:
            break
        at = 0
        while at < CHUNK:
            piece = chunk[at:at + pieces.choice(PIECES)]
            connection.sendall(piece)
            at += len(piece)
    connection.shutdown(socket.SHUT_WR)


def receive(connection, seed, progress):
    number = 0
    for number, expected in enumerate(chunks(seed)):
        got = bytearray()
        while len(got) < CHUNK:
            piece = connection.recv(CHUNK - len(got))
            if not piece:
                break
            got += piece
        if not got:
            break
        if got != expected:
            at = next(i for i, (a, b) in enumerate(zip(got + b"\0", expected)) if a != b)
            sys.exit(f"difference in chunk {number} at byte {at}")
        if progress:
            with open(f"{progress}.new", "w") as file:
                print(number + 1, file=file)
            os.rename(f"{progress}.new", progress)
    return number


def exchange(connection, ours, theirs, count, stopped, progress):
    sender = threading.Thread(target=send, args=(connection, ours, count, stopped), daemon=True)
    sender.start()
    number = receive(connection, theirs, progress)
    sender.join(120)
    print(number)


def main(mode, *arguments):
    if mode == "listen":
        port, progress = arguments[0], arguments[1] if len(arguments) > 1 else None
        listener = socket.create_server(("::", int(port)), family=socket.AF_INET6, dualstack_ipv6=True)
        connection, _ = listener.accept()
        ended = threading.Event()
        sender = threading.Thread(target=send, args=(connection, 2, None, lambda _: ended.is_set()), daemon=True)
        sender.start()
        number = receive(connection, 1, progress)
        ended.set()
        sender.join(120)
        print(number)
    else:
        host, port, count, progress = arguments[0], arguments[1], int(arguments[2]), None
        if len(arguments) > 3:
            progress = arguments[3]
        connection = socket.create_connection((host, int(port)), timeout=60)
        connection.settimeout(None)
        exchange(connection, 1, 2, count or None,
                 lambda _: bool(progress) and os.path.exists(f"{progress}.stop"), progress)


main(*sys.argv[1:])
