# SPDX-License-Identifier: GPL-2.0-only
"""The lab tells a bad run from a good one."""

import pytest

from xpvlab import EmulatorFault, LabError, SplatFound, built

pytestmark = pytest.mark.newest_kernel


@pytest.mark.matrix
def test_splat_in_a_guest_fails_it(host, kernel):
    with pytest.raises(SplatFound):
        with host.guest(type="pv", kernel=kernel) as one:
            one.run("echo 'WARNING: CPU: 0 PID: 1 at made/up.c:1' >/dev/kmsg")


@pytest.mark.matrix
def test_panic_in_a_guest_fails_it(host, kernel):
    """The last words are on the console only, among the agent's frames."""
    with pytest.raises(LabError):
        with host.guest(type="pv", kernel=kernel) as one:
            one.run("echo c >/proc/sysrq-trigger", timeout=60)
    assert "sysrq triggered crash" in one.console


def test_emulator_gives_no_flags_that_nobody_set(host):
    """See qemu/cmpxchg-flags.patch."""
    flags = int(host.run(host.write_program("cmpxchg_flags", built.program("cmpxchg_flags", "-O1"))).out, 16)
    if flags & ~0xed7 and not host.emulator.trusted:
        raise EmulatorFault(f"flags {flags:#x}")
    assert not flags & ~0xed7, f"{flags:#x}"
    assert flags & 0x40, f"{flags:#x}: the memory was not what it held"
