# SPDX-License-Identifier: GPL-2.0-only
"""A guest moves to another domain: saved, restored, migrated."""

import time

from .errors import LabError

MIGRATION_PORT = 8002       # Xen's own, of old


class GuestMoves:
    """The part of a Guest that suspends and resumes it."""

    def save(self, file, options="", timeout=300):
        """xl save into a file of dom0, which ends the domain."""
        self._leave_domain()
        self.host.run(f"xl save {options} {self.name} {file}", timeout=timeout)

    def restore(self, file, options="", timeout=300, paused=None):
        """xl restore; the guest goes on where save() found it. paused() is
        called when the domain is there, before it runs."""
        options += " -p" if paused else ""
        self.host.run(f"xl restore {options} {self._next_config()} {file}", timeout=timeout)
        if paused:
            self.domid = int(self.host.run(f"xl domid {self.name}").out)
            paused()
            self.host.run(f"xl unpause {self.name}")
        self._enter_domain()

    def checkpoint(self, file, timeout=300):
        """xl save -c: saved, and going on in the same domain."""
        self.host.run(f"xl save -c {self.name} {file}", timeout=timeout)

    def migrate(self, timeout=300):
        """xl migrate to the same host, over a pipe instead of ssh."""
        self._leave_domain()
        try:
            self.host.run(f'xl migrate -C {self._next_config()} -s "" {self.name} "xl migrate-receive"',
                          timeout=timeout)
        except LabError:
            self.console += self._console_log()     # as far as it came there
            self._generation -= 1                   # and perhaps it is still here
            raise
        self._enter_domain()

    def migrate_to(self, host, timeout=600):
        """xl migrate to the other machine of a pair, over a TCP connection.
        The disks must be what both have."""
        if self._loops or self.type != "hvm":
            raise LabError(f"{self.name} has what only its machine has")
        host.push(self.host.share / f"{self.name}.payload")
        self._copy_payload(host)
        self._leave_domain()
        log = host.share / "migrate_accept.log"
        log.write_text("")
        listener = host.start(f"exec python3 /share/migrate_accept.py {MIGRATION_PORT} {self.host.peer_address} "
                              f">/share/{log.name} 2>&1")
        end = time.monotonic() + 60
        while "listening" not in log.read_text():
            if time.monotonic() > end:
                raise LabError(f"{self.name}: nobody listens: {log.read_text()}")
            time.sleep(0.2)
        config = self._next_config()
        self.host.run(f"xl migrate -C {config} -s 'python3 /share/migrate_connect.py {MIGRATION_PORT}' "
                      f"{self.name} {self.host.peer_address}", timeout=timeout)
        if listener.wait(60).status:
            raise LabError(f"{self.name}: xl migrate-receive failed: {log.read_text()}")
        left = self.host
        self.host = host
        # From here on the other machine's log counts; this one's is looked at now.
        start, self._log_start = self._log_start, host.log_position()
        left.check(start)
        self._enter_domain()

    def _leave_domain(self):
        """The device model goes with the domain, and with it the way to the
        agent. Commands may go on running in the guest, unheard."""
        self.console += self._console_log()
        self._relay.close()
        self._relay = None

    def _next_config(self):
        """A configuration for the next domain. Its device model has files of
        its own: while two are there, the one that ends removes its socket."""
        self._generation += 1
        name = f"{self.name}.{self._generation}.cfg"
        (self.host.share / name).write_text(self._xl_config())
        return f"/share/{name}"

    def _enter_domain(self):
        self.domid = int(self.host.run(f"xl domid {self.name}").out)
        self._connect()
