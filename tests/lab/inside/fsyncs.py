#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Write a block and wait until it is stable, again and again.

    fsyncs.py DEVICE    "begun" after the first one; at SIGTERM "longest_us N",
                        the longest time from one to the next by the monotonic
                        clock
"""

import os
import signal
import sys
import time


def main(device):
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    file = os.open(device, os.O_WRONLY)
    longest, last = 0, None
    while not stop:
        os.pwrite(file, bytes(4096), 0)
        os.fsync(file)
        now = time.monotonic_ns()
        if last is None:
            print("begun", flush=True)
        else:
            longest = max(longest, now - last)
        last = now
    print(f"longest_us {longest // 1000}")


if __name__ == "__main__":
    main(sys.argv[1])
