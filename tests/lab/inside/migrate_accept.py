# SPDX-License-Identifier: GPL-2.0-only
"""migrate_accept.py PORT ADDRESS: serve one migration. What comes over the
wire is not to choose the command."""

import socket
import subprocess
import sys

with socket.create_server((sys.argv[2], int(sys.argv[1]))) as listener:
    print("listening", flush=True)
    peer, _ = listener.accept()
sys.exit(subprocess.call(["xl", "migrate-receive"], stdin=peer, stdout=peer))
