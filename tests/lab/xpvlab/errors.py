# SPDX-License-Identifier: GPL-2.0-only
"""What can go wrong in the lab, each kind told apart."""


class LabError(Exception):
    """The lab itself could not do what was asked."""


class CommandFailed(LabError):
    """A command in dom0 or in a guest ended with a non-zero status."""

    def __init__(self, where, script, result):
        self.where = where
        self.script = script
        self.result = result
        super().__init__(
            f"{where}: exit status {result.status} from: {script.strip()[:400]}\n"
            f"--- stdout\n{result.out[-4000:]}\n--- stderr\n{result.err[-4000:]}")


class GuestDied(LabError):
    """A guest, or the machine, went away while it was in use."""


class SplatFound(LabError):
    """A kernel log holds lines that a healthy kernel does not write."""

    def __init__(self, where, splats):
        self.where = where
        self.splats = splats
        lines = "\n".join(f"  {s}" for s in splats[:20])
        more = f"\n  ... and {len(splats) - 20} more" if len(splats) > 20 else ""
        super().__init__(f"{where}: {len(splats)} bad line(s) in the log:\n{lines}{more}")


class EmulatorFault(LabError):
    """The emulator corrupted the guest. Neither a pass nor a fault of the
    code under test: the run says nothing, and is reported as such."""
