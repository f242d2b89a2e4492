#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Writes records that must not be lost, and checks them.

    journal.py write FILE ACKNOWLEDGED    until SIGTERM: a record a block, fsync,
                                          and then its number into ACKNOWLEDGED
    journal.py check FILE ACKNOWLEDGED    every acknowledged record is there

ACKNOWLEDGED is elsewhere than on the disk under test.
"""

import hashlib
import os
import signal
import sys

BLOCK = 4096
RECORDS = 1500


def record(number):
    seed = hashlib.sha256(str(number).encode()).digest()
    return (b"%016d" % number + seed * (BLOCK // len(seed)))[:BLOCK]


def write(file, acknowledged):
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    disk = os.open(file, os.O_RDWR | os.O_CREAT)
    done = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    number = 0
    while not stop:
        os.pwrite(disk, record(number), number % RECORDS * BLOCK)
        os.fsync(disk)
        os.write(done, b"%d\n" % number)
        number += 1


def check(file, acknowledged):
    with open(acknowledged) as lines:
        numbers = [int(line) for line in lines]
    assert numbers == list(range(len(numbers))), "records out of order"
    with open(file, "rb", buffering=0) as disk:
        for number in numbers[-RECORDS:]:
            disk.seek(number % RECORDS * BLOCK)
            found = disk.read(BLOCK)
            # The one after the last acknowledged may have overwritten the oldest.
            assert found in (record(number), record(number + RECORDS)), f"record {number} is lost: {found[:16]}"
    print(f"{len(numbers)} records")


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](*sys.argv[2:])
