#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""capture.py INTERFACE FILE: what this machine sends by that interface, from
when Linux has given it to the driver, into a pcap file, until it is killed."""

import socket
import struct
import sys
import time

EVERYTHING, OUTGOING = 3, 4     # ETH_P_ALL, PACKET_OUTGOING

tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERYTHING))
tap.bind((sys.argv[1], 0))
with open(sys.argv[2], "wb", buffering=0) as file:
    file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
    while True:
        data, address = tap.recvfrom(65535)
        if address[2] != OUTGOING:
            continue
        seconds, nanoseconds = divmod(time.time_ns(), 10 ** 9)
        file.write(struct.pack("<IIII", seconds, nanoseconds // 1000, len(data), len(data)) + data)
