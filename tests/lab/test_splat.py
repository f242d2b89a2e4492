# SPDX-License-Identifier: GPL-2.0-only
"""The reading of kernel logs, from sample lines."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from xpvlab import SplatFound, splat
from xpvlab.guest import Guest

BAD = """
[    5.1] WARNING: CPU: 0 PID: 1 at kernel/irq/manage.c:1 foo+0x1/0x2
[    5.1] BUG: kernel NULL pointer dereference, address: 0000000000000000
[    5.1] kernel BUG at mm/slub.c:1!
[    5.1] Oops: 0000 [#1] PREEMPT SMP NOPTI
[    5.1] general protection fault, probably for non-canonical address 0xdead: 0000 [#1]
[    5.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b
[    5.1] INFO: possible recursive locking detected
[    5.1] WARNING: inconsistent lock state
[    5.1] BUG: KASAN: slab-use-after-free in foo+0x1/0x2
[    5.1] UBSAN: array-index-out-of-bounds in foo.c:1:2
[    5.1] INFO: task kworker/0:1:10 blocked for more than 120 seconds.
[    5.1] rcu: INFO: rcu_preempt self-detected stall on CPU
[    5.1] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [insmod:1]
[    5.1] foo: unpatched return thunk in use. This should not happen!
[    5.1] irq 11: nobody cared (try booting with the "irqpoll" option)
[    5.1] BUG: sleeping function called from invalid context at kernel/locking/mutex.c:1
[    5.1] I/O error, dev xvda, sector 8 op 0x1:(WRITE) flags 0x0 phys_seg 1 prio class 2
[    5.1] python3[308]: segfault at 8 ip 00000000004f9b46 sp 00007ffe3e27e6f0 error 4
(XEN) Panic on CPU 0:
(XEN) domain_crash called from svm.c:1
""".strip().splitlines()

GOOD = """
[    1.0] xpv_hypervisor: loading out-of-tree module taints kernel.
[    1.0] xpv_hypervisor: module verification failed: signature and/or required key missing - tainting kernel
[    1.0] Freeing unused kernel image (initmem) memory: 4264K
[    1.0] ata1.00: LPM support broken, forcing max_power
[    1.0] x86/mm: Checked W+X mappings: passed, no W+X pages found.
[    1.0] ACPI: bus type drm_connector registered
(XEN) HVM d1v0 save: CPU_MSR
(XEN) Latest ChangeSet:
""".strip().splitlines()

CORRUPTED = """
(XEN) Dumping Dom1 vcpu#0
(XEN) ----[ Xen-4.17.7  x86_64  debug=n  Not tainted ]----
(XEN) CPU:    0
(XEN) RIP:    e008:[<ffff82d0402044a5>]
(XEN) RFLAGS: 0000000000000046   CONTEXT: hvm guest (d1v0)
"""


@pytest.mark.parametrize("line", BAD)
def test_bad_line_is_found(line):
    assert splat.splats(line) == [line]


@pytest.mark.parametrize("line", GOOD)
def test_good_line_is_not(line):
    assert not splat.splats(line)


def test_emulator_fault_is_told_apart():
    assert len(splat.emulator_faults(CORRUPTED)) == 1


def test_guests_own_crash_is_no_emulator_fault():
    own = CORRUPTED.replace("e008:[<ffff82d0402044a5>]", "0010:[<ffffffff81000000>]")
    assert not splat.emulator_faults(own)
    assert not splat.emulator_faults(CORRUPTED.replace("hvm guest", "hypervisor"))


def test_emulator_fault_is_neither_pass_nor_failure(tmp_path):
    lab = Path(__file__).parent
    (tmp_path / "test_it.py").write_text(
        "from xpvlab import EmulatorFault\n"
        "def test_it():\n    raise EmulatorFault('made up')\n")
    run = subprocess.run(["/usr/bin/python3", "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider",
                          "-rs", "--rootdir", tmp_path, tmp_path / "test_it.py"],
                         env=os.environ | {"PYTHONPATH": str(lab), "PYTHONDONTWRITEBYTECODE": "1"},
                         capture_output=True, text=True)
    assert "1 skipped" in run.stdout and "passed" not in run.stdout and "failed" not in run.stdout, run.stdout
    assert "EMULATOR FAULT: made up" in run.stdout


def test_code_that_was_gone_is_the_emulators_fault():
    oops = ("[    4.266060] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI\n"
            "[    4.266564] RIP: e030:sched_clock_cpu+0x9/0x190\n"
            "[    4.266570] Code: 90 90 f3 0f 1e fa 41 54 55 53 {} <90> e8 41 ac\n")
    assert splat.emulator_faults(oops.format("66"))
    assert not splat.emulator_faults(oops.format("cc"))


def test_steps_that_nobody_takes_are_the_emulators_fault():
    trap = ("[  460.059699] WARNING: CPU: 0 PID: 881 at arch/x86/kernel/traps.c:1120 exc_debug_kernel+0xca/0x160\n"
            "[  460.065981] Code: b9 05 00 00 00 74 1b <0f> 0b 48 81 a5 90 00 00 00 ff fe ff ff\n"
            "[  460.066129] RSP: e02b:ffffc90040a6f948 EFLAGS: 00000002\n"
            "[  460.076907] RIP: e030:kmem_cache_alloc_lru_noprof+0xcf/0x300\n"
            "[  460.076907] Code: 48 8d 8a 00 20 00 00 65 48 {} 0e 75 a8 41 8b 44 24 28 <0f> 0d 0c 03\n"
            "[  460.076907] RSP: e02b:ffffc90040a6fa20 EFLAGS: {}\n")
    assert splat.emulator_faults(trap.format("0f c7", "000003d2"))
    assert not splat.emulator_faults(trap.format("0f c8", "000003d2"))
    assert not splat.emulator_faults(trap.format("0f c7", "000002d2"))


class QuietHost:
    def raise_emulator_fault(self, since):
        pass

    def check(self, since):
        pass


def stopped_guest(dmesg="", console="", expected=()):
    guest = Guest.__new__(Guest)
    guest.host, guest.name, guest._log_start = QuietHost(), "made-up", 0
    guest.dmesg, guest.console = dmesg, console
    guest.expected = [re.compile(e) for e in expected]
    return guest


@pytest.mark.parametrize("log", ["dmesg", "console"])
def test_guest_with_a_splat_fails(log):
    with pytest.raises(SplatFound, match="made-up"):
        stopped_guest(**{log: BAD[0]}).check()


def test_guest_without_a_splat_passes():
    stopped_guest(dmesg="\n".join(GOOD), console="\n".join(GOOD)).check()


def test_guest_with_an_expected_splat_passes():
    stopped_guest(dmesg=BAD[0], expected=["kernel/irq/manage"]).check()
