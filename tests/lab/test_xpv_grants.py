# SPDX-License-Identifier: GPL-2.0-only
"""xpv's grants and a peer in dom0 that does not let go."""

import pytest

from xpvlab import xenstate
from xpvlab.waiting import until

# Maps a page of another domain, says so, and keeps it until it is killed.
KEEP = """
import ctypes, sys, time
library = ctypes.CDLL("libxengnttab.so.1", use_errno=True)
library.xengnttab_open.restype = library.xengnttab_map_grant_ref.restype = ctypes.c_void_p
handle = library.xengnttab_open(None, 0)
page = library.xengnttab_map_grant_ref(ctypes.c_void_p(handle), DOMID, REFERENCE, 3)
if not page:
    sys.exit(f"errno {ctypes.get_errno()}")
open("/run/lab/kept", "w").write("mapped")
time.sleep(3600)
"""


@pytest.mark.vcpus(2, more=(1, 4))
def test_what_a_peer_keeps_is_parked_and_freed_later(xpv, host):
    """Case 13. A process in dom0 maps the disk's ring, and keeps it when the
    driver is unloaded. A driver that frees the page lets dom0 write to its next
    user; one that loses it leaks it for ever. The page must be parked, granted
    as before, and keep xpv_gnttab loaded, until the process ends."""
    granted = xenstate.granted(host, xpv.domid)
    xpv.load_xpv()
    xpv.wait_for_disk()
    ring = int(host.run(f"xenstore-read /local/domain/{xpv.domid}/device/vbd/51712/ring-ref").out)
    script = KEEP.replace("DOMID", str(xpv.domid)).replace("REFERENCE", str(ring))
    host.run("rm -f /run/lab/kept")
    peer = host.start(f"exec python3 -c '{script}'")
    try:
        until(lambda: not peer.running() or host.run("cat /run/lab/kept", check=False).status == 0)
        assert peer.running(), peer.wait().err
        xpv.run("udevadm settle; rmmod xpv_blkfront")
        assert xpv.counts("gnttab")["parked"] == 1
        assert ring in xenstate.granted(host, xpv.domid)
        # The page is not to be freed under the peer, so the table stays.
        assert xpv.run("rmmod xpv_xenbus && rmmod xpv_gnttab", check=False).status != 0
        assert xpv.counts("gnttab")["parked"] == 1
    finally:
        peer.kill()
    until(lambda: xpv.counts("gnttab")["parked"] == 0)
    now = xpv.counts("gnttab")
    assert now["lost"] == 0 and now["free"] == now["references"]
    xpv.unload_xpv()
    assert xenstate.granted(host, xpv.domid) == granted
