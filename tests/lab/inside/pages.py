#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""More memory than there is, written again and again, and checked each time.

    pages.py MIB COUNT    until SIGTERM; COUNT gets the number of pages so far
"""

import mmap
import signal
import struct
import sys

PAGE = 4096
REPORT = 1024       # pages


def check(memory, page, turn):
    found = struct.unpack_from("<QQ", memory, page)
    if found != (page, turn):
        sys.exit(f"fault: page {page}, round {turn}: {found}")


def main(mib, count):
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    memory = mmap.mmap(-1, int(mib) << 20)
    turn = pages = 0
    for page in range(0, len(memory), PAGE):
        struct.pack_into("<QQ", memory, page, page, turn)
    while not stop:
        for page in range(0, len(memory), PAGE):
            check(memory, page, turn)
            struct.pack_into("<QQ", memory, page, page, turn + 1)
            pages += 1
            if pages % REPORT == 0:
                with open(count, "w") as file:
                    file.write(f"{pages}\n")
            if stop:
                break
        turn += 1
    last = page
    for page in range(0, len(memory), PAGE):
        check(memory, page, turn if page <= last else turn - 1)
    print("end")


if __name__ == "__main__":
    main(*sys.argv[1:])
