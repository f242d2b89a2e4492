# SPDX-License-Identifier: GPL-2.0-only
"""Reading kernel logs: what no healthy kernel writes, and the traces of the
emulator's own faults."""

import re

from .errors import EmulatorFault

SPLATS = [re.compile(p) for p in (
    r"\bWARNING: ",
    r"\bBUG: ", r"kernel BUG at ", r"\bBUG in ",
    r"\bOops\b", r"Kernel panic - not syncing", r"\bCall Trace:",
    r"general protection fault", r"unable to handle ", r"double fault", r"stack guard page",
    r"stack segment fault", r"invalid opcode: ", r"divide error", r"PANIC:",
    r"traps: .* (trap|general protection)", r"segfault at ",
    r"INFO: possible ", r"inconsistent (lock|\{)", r"possible (recursive|circular) locking",
    r"bad unlock balance", r"held lock freed", r"suspicious RCU usage", r"INFO: trying to register",
    r"sleeping function called from invalid context", r"scheduling while atomic",
    r"\bKASAN: ", r"\bKFENCE: ", r"\bKCSAN: ", r"\bUBSAN: ",
    r"INFO: task .* blocked for more than", r"hung_task:", r"soft lockup", r"hard LOCKUP",
    r"rcu: INFO: .* (stall|self-detected)", r"rcu.*detected stalls", r"rcu.*kthread starved",
    r"unpatched return", r"unreturn", r"\bunaligned\b", r"missing ENDBR", r"Missing ENDBR",
    r"nobody cared", r"Disabling IRQ #", r"unexpected IRQ trap", r"No irq handler for vector",
    r"refcount_t: ", r"list_(add|del) corruption", r"Bad page (state|map)", r"bad page",
    r"page allocation failure", r"Out of memory: ", r"oom-kill:", r"invoked oom-killer",
    r"slab .*(corrupt|Poison overwritten|Redzone)", r"Poison overwritten", r"Redzone overwritten",
    r"debugobjects?: ", r"ODEBUG: ", r"DMA-API: ", r"leaked ", r"kmemleak: .* new suspected",
    r"I/O error, dev xvd", r"Buffer I/O error", r"EXT4-fs error", r"EXT4-fs \(.*\): .*failed",
    r"JBD2: .*[Ee]rror", r"Aborting journal", r"blk_update_request: .*error",
    r"NETDEV WATCHDOG", r"hw csum failure", r"disagrees about version of symbol",
    r"Unknown symbol", r"exports duplicate symbol", r"unchecked MSR access",
    r"clocksource: .*[Ww]atchdog.*skew.*xpv",
)]

# Lines of Xen's own that are as bad.
XEN_SPLATS = [re.compile(p) for p in (
    r"\(XEN\) Panic on CPU", r"\(XEN\) Xen BUG at", r"\(XEN\) Xen WARN at",
    r"\(XEN\) .*[Dd]omain_crash", r"\(XEN\) Domain \d+ .*crashed",
    r"\(XEN\) .*Bad GFN|\(XEN\) .*Bad grant", r"\(XEN\) .*triple fault",
    r"\(XEN\) Watchdog timer", r"\(XEN\) Assertion",
)]

# Known and harmless in this lab, each for the reason given.
HARMLESS = [re.compile(p) for p in (
    # Debian's kernels say this of any module that is not signed by Debian.
    r"module verification failed", r"loading out-of-tree module taints kernel",
)]


def splats(text):
    """The bad lines of a kernel's or the machine's log."""
    found = []
    for line in text.splitlines():
        if any(p.search(line) for p in HARMLESS):
            continue
        if "(XEN)" in line:
            if any(p.search(line) for p in XEN_SPLATS):
                found.append(line.strip())
        elif any(p.search(line) for p in SPLATS):
            found.append(line.strip())
    return found


def stale_code(text):
    """Breakpoints that a kernel took where its code has none: the emulator
    ran what had been there before the kernel patched it, on another CPU, at
    the very moment of the patching."""
    found, oops = [], None
    for line in text.splitlines():
        if re.search(r"Oops: int3|int3: 0000", line):
            oops = line.strip()
        code = re.search(r"Code: .*\b([0-9a-f]{2}) <[0-9a-f]{2}>", line)
        if oops and code:
            if code[1] != "cc":
                found.append(f"{oops} / {code[0][-60:]}")
            oops = None
    return found


def phantom_steps(text):
    """Kernels that were single-stepped by nobody, just after a CMPXCHG8B or
    CMPXCHG16B: the stock emulator gives those flags that they do not have,
    and an interrupt makes them real. See qemu/cmpxchg-flags.patch."""
    found, warning, after = [], None, False
    for line in text.splitlines():
        if re.search(r"WARNING: .*exc_debug_kernel\+", line):
            warning, after = line.strip(), False
        elif warning and (code := re.search(r"Code: (.*) <[0-9a-f]{2}>", line)):
            after = re.search(r"\b0f c7 [048][8-9a-f](?: [0-9a-f]{2}){0,14}$", code[1])
        elif warning and after and (flags := re.search(r"EFLAGS: ([0-9a-f]+)", line)):
            if int(flags[1], 16) & 0x100:
                found.append(warning)
            warning = None
    return found


def emulator_faults(text):
    """All traces of the emulator's own faults. Besides those above, register
    dumps of a guest whose RIP lies in the hypervisor: guest and hypervisor
    state were mixed up. No guest can do that."""
    found = stale_code(text) + phantom_steps(text)
    rip = None
    for line in text.splitlines():
        if "(XEN)" not in line:
            continue
        match = re.search(r"RIP:\s+e008:\[<?([0-9a-f]+)>?\]", line)
        if match:
            rip = line.strip()
        elif re.search(r"RIP:", line):
            rip = None
        elif rip and re.search(r"CONTEXT: hvm", line):
            found.append(rip + " / " + line.strip())
            rip = None
    return found


def raise_emulator_fault(whose, text):
    """Raise EmulatorFault if `text`, the log of `whose` kernel, has traces of one."""
    faults = emulator_faults(text)
    if faults:
        raise EmulatorFault(f"the emulator corrupted {whose}: " + "; ".join(faults[:3]))
