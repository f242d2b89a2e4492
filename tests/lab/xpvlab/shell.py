# SPDX-License-Identifier: GPL-2.0-only
"""A person's shell in dom0, with a running guest."""

import os
import select
import shutil
import sys
import termios
import threading
import tty

from .host import Host

GREETING = """
This is dom0 on Xen; its guest {name} runs ({kernel}, {drivers} drivers).
  xl list                     the domains
  tail -f {console}           the guest's kernel log
  guest COMMAND...            run a command in the guest
Leave with "exit": then all of this stops.
"""

# `guest` in dom0 asks for a command over a pipe pair that the lab serves.
GUEST_COMMAND = """#!/bin/sh
echo "$*" >/run/lab/guest.in
cat /run/lab/guest.out
"""


def _serve(host, guest):
    """Run what dom0's `guest` command asks for in the guest."""
    while True:
        asked = host.run("cat /run/lab/guest.in", timeout=7 * 86400).out.strip()
        result = guest.run(asked, check=False, timeout=86400)
        host.run("cat >/run/lab/guest.text <<'XPV_LAB_END'\n" + result.out + result.err +
                 "\nXPV_LAB_END\ncat /run/lab/guest.text >/run/lab/guest.out")


def _terminal(machine, command):
    """Connect this terminal to a command there, until it ends."""
    size = shutil.get_terminal_size()
    job = machine.channel.start_terminal(
        command, lambda data: os.write(sys.stdout.fileno(), data), size.lines, size.columns)
    stdin = sys.stdin.fileno()
    saved = termios.tcgetattr(stdin) if os.isatty(stdin) else None
    try:
        if saved:
            tty.setraw(stdin)
        while job.running():
            if select.select([stdin], [], [], 0.2)[0]:
                data = os.read(stdin, 4096)
                if not data:
                    break
                job.feed(data)
    finally:
        if saved:
            termios.tcsetattr(stdin, termios.TCSADRAIN, saved)


def run(options):
    with Host() as host:
        with host.guest(**options) as guest:
            if guest.drivers == "xpv":
                guest.load_xpv()
            host.run("mkfifo /run/lab/guest.in /run/lab/guest.out; cat >/usr/local/bin/guest <<'XPV_LAB_END'\n" +
                     GUEST_COMMAND + "XPV_LAB_END\nchmod +x /usr/local/bin/guest")
            threading.Thread(target=_serve, args=(host, guest), daemon=True).start()
            print(GREETING.format(name=guest.name, kernel=guest.kernel.release, drivers=guest.drivers,
                                  console=guest.console_file))
            _terminal(host, "cd /root; exec bash -i")
