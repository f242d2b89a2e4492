# SPDX-License-Identifier: GPL-2.0-only
"""migrate_connect.py PORT HOST COMMAND: in place of ssh, which the toolstack
calls with the other host's name and a command."""

import os
import socket
import sys
import threading

peer = socket.create_connection((sys.argv[2], int(sys.argv[1])))


def copy(read, write, end):
    while data := read():
        write(data)
    end()


back = threading.Thread(target=copy, args=(lambda: peer.recv(65536), lambda data: os.write(1, data),
                                           lambda: os.close(1)))
back.start()
copy(lambda: os.read(0, 65536), peer.sendall, lambda: peer.shutdown(socket.SHUT_WR))
back.join()
