# SPDX-License-Identifier: GPL-2.0-only
"""How far a soak has come, in a file: it can be ended at any time and gone on with."""

import json
import os
from pathlib import Path


class Tally:
    """Rounds done of each kind, failures and emulator faults, each with the directory of its logs.

    file      where it is kept; written after each change, whole or not at all
    subject   what is tested, as a dict: rounds done with another subject say
              nothing of this one, so then it starts anew, and the old file
              gets .old appended
    targets   {kind: rounds wanted}; may be others than the last time
    """

    def __init__(self, file, subject, targets):
        self._file = Path(file)
        self._targets = dict(targets)
        self._state = {"subject": dict(subject), "done": {}, "seconds": 0.0, "worst_ms": {}, "failures": [], "faults": []}
        self.gone_on = False
        try:
            found = json.loads(self._file.read_text())
        except FileNotFoundError:
            return
        except ValueError:
            found = None    # no state of ours; kept as .old
        if isinstance(found, dict) and found.keys() == self._state.keys() and found["subject"] == self._state["subject"]:
            self._state = found
            self.gone_on = True
        else:
            os.replace(self._file, f"{self._file}.old")

    def _write(self):
        self._file.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._file.with_name(self._file.name + ".new")
        scratch.write_text(json.dumps(self._state, indent=1) + "\n")
        os.replace(scratch, self._file)

    def done(self, kind):
        return self._state["done"].get(kind, 0)

    def left(self, kind):
        return max(0, self._targets[kind] - self.done(kind))

    @property
    def complete(self):
        return not any(map(self.left, self._targets))

    @property
    def failures(self):
        return len(self._state["failures"])

    @property
    def faults(self):
        return len(self._state["faults"])

    def next(self):
        """The kind of which the largest part is left, so that they alternate; None when all are done."""
        kinds = [kind for kind in self._targets if self.left(kind)]
        return max(kinds, key=lambda kind: self.left(kind) / self._targets[kind], default=None)

    def passed(self, kind, seconds, outage_ms):
        self._state["done"][kind] = self.done(kind) + 1
        self._state["seconds"] += seconds
        self._state["worst_ms"][kind] = max(outage_ms, self._state["worst_ms"].get(kind, 0))
        self._write()

    def failed(self, during, text, logs):
        """A failure of ours."""
        self._state["failures"].append({"during": during, "text": text, "logs": str(logs)})
        self._write()

    def fault(self, during, text, logs):
        """The emulator's own, which says nothing of the code under test."""
        self._state["faults"].append({"during": during, "text": text, "logs": str(logs)})
        self._write()

    def summary(self):
        """Lines for people."""
        lines = []
        for kind, wanted in self._targets.items():
            worst = self._state["worst_ms"].get(kind)
            lines.append(f"{kind}: {self.done(kind)} of {wanted} rounds"
                         + (f", longest standstill {worst:.0f} ms" if worst is not None else ""))
        lines.append(f"{self._state['seconds'] / 60:.0f} minutes of rounds, {self.failures} failures, "
                     f"{self.faults} emulator faults")
        for name in ("failures", "faults"):
            for one in self._state[name]:
                first = (one["text"].strip().splitlines() or ["(no text)"])[0][:300]
                lines.append(f"  {name[:-1]} during {one['during']}: {first}; logs: {one['logs']}")
        return lines

    def exit_code(self):
        """1: something of ours failed; 3: nothing was done, which says nothing; else 0."""
        if self.failures:
            return 1
        return 0 if sum(self._state["done"].values()) else 3
