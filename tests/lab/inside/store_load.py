#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Asks xenstored all the time, and says what was wrong.

    store_load.py COUNT     until it is killed; COUNT gets "TURNS REPLACED"

Each of several threads has the store's node open for itself, and a watch. In
its turn it asks for the domain's number, writes a node of its own and
increases a number that all threads share, both in one transaction, and waits
for the event of its watch. A suspend may end any transaction, and when the
domain is replaced by another its nodes are gone (REPLACED counts those
turns). But no answer and no event may be missing, and what a transaction has
written stays.
"""

import os
import select
import struct
import sys
import threading
import time

THREADS = 4
PATIENCE = 60
PAUSE = 1
# xen/include/public/io/xs_wire.h
READ, WATCH, TRANSACTION_START, TRANSACTION_END, WRITE, WATCH_EVENT, ERROR = 2, 4, 6, 7, 11, 15, 16
HEADER = struct.Struct("=IIII")     # type, request, transaction, length
FOLDER = b"data/lab/load/"
SHARED = FOLDER + b"shared"


class Refused(Exception):
    """The store's error, by its name."""


class Fault(Exception):
    pass


class Store:
    """One open node."""

    def __init__(self):
        self._file = os.open("/dev/xen/xenbus", os.O_RDWR)
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLIN)
        self.events = 0

    def _read(self, size, what):
        data = b""
        end = time.monotonic() + PATIENCE
        while len(data) < size:
            left = end - time.monotonic()
            if left <= 0 or not self._poll.poll(left * 1000):
                raise Fault(f"no {what} in {PATIENCE} s")
            data += os.read(self._file, size - len(data))
        return data

    def _message(self, what):
        kind, _, _, length = HEADER.unpack(self._read(HEADER.size, what))
        return kind, self._read(length, what)

    def ask(self, kind, payload, transaction=0):
        os.write(self._file, HEADER.pack(kind, 0, transaction, len(payload)) + payload)
        while True:
            said, answer = self._message(f"answer to {kind} {payload!r}")
            if said == WATCH_EVENT:
                self.events += 1
            elif said == ERROR:
                raise Refused(answer.rstrip(b"\0").decode())
            elif said == kind:
                return answer
            else:
                raise Fault(f"{kind} is answered by {said}")

    def read(self, path, transaction=0):
        """None if there is no such node."""
        try:
            return self.ask(READ, path + b"\0", transaction)
        except Refused as error:
            if str(error) == "ENOENT":
                return None
            raise

    def await_event(self):
        while not self.events:
            kind, _ = self._message("event of the watch")
            if kind != WATCH_EVENT:
                raise Fault(f"{kind} is no event")
            self.events += 1

    def transaction(self, body):
        """Until it is committed; what the body returned then."""
        while True:
            number = 0
            try:
                number = int(self.ask(TRANSACTION_START, b"\0").rstrip(b"\0"))
                result = body(number)
            except Refused as error:
                if str(error) != "EAGAIN":
                    raise
                if number:
                    self._end(b"F\0", number)
                continue
            if self._end(b"T\0", number):
                return result

    def _end(self, how, number):
        try:
            self.ask(TRANSACTION_END, how, number)
            return True
        except Refused as error:
            if str(error) != "EAGAIN":
                raise
            return False


def again(ask):
    """What a suspend interrupted and cannot be repeated unasked."""
    while True:
        try:
            return ask()
        except Refused as error:
            if str(error) != "EAGAIN":
                raise


def turn(store, own, number):
    """Whether the nodes were still there in the end."""
    domain = again(lambda: store.read(b"domid"))
    if not domain.isdigit():
        raise Fault(f"the domain's number is {domain!r}")

    def body(transaction):
        shared = int(store.read(SHARED, transaction) or 0) + 1
        store.ask(WRITE, SHARED + b"\0%d" % shared, transaction)
        store.ask(WRITE, own + b"\0%d" % number, transaction)
        return shared

    store.events = 0
    shared = store.transaction(body)
    store.await_event()
    now = again(lambda: store.read(SHARED))
    found = again(lambda: store.read(own))
    if found is None:
        return False
    if int(found) != number:
        raise Fault(f"{own!r} is {found!r} after {number} was written")
    # In this order: the own node is of the same domain as what was read before it.
    if now is None or int(now) < shared:
        raise Fault(f"the shared number is {now!r} after {shared} was written")
    return True


def work(own, turns, replaced, index):
    try:
        store = Store()
        again(lambda: store.ask(WATCH, own + b"\0watch\0"))
        while True:
            if not turn(store, own, turns[index] + 1):
                replaced[index] += 1
            turns[index] += 1
            time.sleep(PAUSE)
    except Exception as error:
        print(f"fault store, thread {index}: {type(error).__name__}: {error}", flush=True)


def main(count):
    turns, replaced = [0] * THREADS, [0] * THREADS
    for index in range(THREADS):
        threading.Thread(target=work, args=(FOLDER + b"%d" % index, turns, replaced, index), daemon=True).start()
    while True:
        time.sleep(PAUSE)
        with open(f"{count}.new", "w") as file:
            file.write(f"{min(turns)} {sum(replaced)}\n")
        os.rename(f"{count}.new", count)


if __name__ == "__main__":
    main(sys.argv[1])
