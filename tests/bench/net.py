# SPDX-License-Identifier: GPL-2.0-only
"""A network interface: xpv_netfront against the kernel's own xen-netfront.

Both have the same guest kernel, Xen, dom0 (xen-netback on a bridge) and run;
what the kernel's own is measured twice for shows the noise. `counts`
(netcounts.py) is what a packet makes the guest execute; `traffic`
(nettraffic.py) is throughput. Both begin with equal features: what each side
has written to xenstore, and Linux's offloads, are printed and compared.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lab"))

import netcounts  # noqa: E402
import nettraffic  # noqa: E402

PARTS = {"counts": netcounts, "traffic": nettraffic}


def main(options):
    for name in options.part or PARTS:
        PARTS[name].main(options)
