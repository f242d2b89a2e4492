# SPDX-License-Identifier: GPL-2.0-only
"""The lab tells a bad run from a good one."""

import pytest

from xpvlab import LabError, SplatFound

pytestmark = pytest.mark.newest_kernel


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
