#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Datagrams of many sizes, sent back and compared byte by byte.

    netecho.py serve PORT           send each datagram back; ends at an empty one
    netecho.py ask HOST PORT SIZE...

One datagram is in flight at a time. A lost or changed one ends the program with 1.
"""

import random
import socket
import sys


def serve(port):
    echo = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    echo.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    echo.bind(("::", port))
    while True:
        data, peer = echo.recvfrom(65536)
        echo.sendto(data, peer)
        if not data:
            return


def ask(host, port, sizes):
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    client = socket.socket(family, kind, protocol)
    client.settimeout(60)
    source = random.Random(1)
    for size in sizes:
        data = source.randbytes(size)
        client.sendto(data, address)
        back = client.recv(65536)
        if back != data:
            at = next((i for i, (a, b) in enumerate(zip(back, data)) if a != b), min(len(back), size))
            sys.exit(f"{size} bytes: {len(back)} came back, different from byte {at} on")
    client.sendto(b"", address)
    print(len(sizes))


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    ask(sys.argv[2], int(sys.argv[3]), [int(size) for size in sys.argv[4:]])
