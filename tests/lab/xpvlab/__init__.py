# SPDX-License-Identifier: GPL-2.0-only
"""The lab: real Xen without virtualisation hardware. See docs/lab.md."""

from .errors import (CommandFailed, EmulatorFault, GuestDied, LabError,  # noqa: F401
                     SplatFound)
from .guest import Guest  # noqa: F401
from .guestconfig import TYPES, Disk  # noqa: F401
from .host import Host  # noqa: F401
