# SPDX-License-Identifier: GPL-2.0-only
"""No page that xpv maps can be reached from user space: by its PTEs, and by trying."""

import re
from dataclasses import dataclass, field

import pytest

from xpvlab import built
from xpvlab.waiting import wait_until

FILE = "/sys/kernel/debug/xpv/windows"
# On all vCPUs at once, until it is told to stop; then it ends with 128.
LOAD = ("fio --name=load --filename={node} --rw=randrw --bs=16k --direct=1 --ioengine=libaio --iodepth=4 "
        "--numjobs={jobs} --cpus_allowed=0-{last} --cpus_allowed_policy=split --time_based --runtime=3600 "
        "--size=64M --group_reporting --minimal")

# What /proc/kcore has at an address: the file is a core dump with a segment for each range of addresses.
KCORE = """
import struct, sys
with open("/proc/kcore", "rb", buffering=0) as core:
    header = core.read(64)
    offset, = struct.unpack_from("<Q", header, 32)
    size, count = struct.unpack_from("<HH", header, 54)
    core.seek(offset)
    table = core.read(size * count)
    segments = [struct.unpack_from("<IIQQQQ", table, size * n) for n in range(count)]
    for address in (int(word, 16) for word in sys.argv[1:]):
        place, = [start + address - first for kind, _, start, first, _, length in segments
                  if kind == 1 and first <= address < first + length]
        core.seek(place)
        print(set(core.read(4096)))
"""


@dataclass
class Page:
    address: int
    frame: int
    access: str
    pte: dict


@dataclass
class Window:
    name: str
    address: int
    size: int
    pages: list = field(default_factory=list)


def windows(guest, kptr_restrict=1):
    """What the guest's debugfs says; with addresses as they are at kptr_restrict 1 only."""
    found = []
    for line in guest.run(f"echo {kptr_restrict} > /proc/sys/kernel/kptr_restrict; cat {FILE}").out.splitlines():
        window = re.fullmatch(r"window 0x([0-9a-f]+) pages (\d+) (.+)", line)
        page = re.fullmatch(r"page 0x([0-9a-f]+) frame 0x([0-9a-f]+) (ro|rw) pte: frame 0x([0-9a-f]+) (.+)", line)
        assert window or page, line
        if window:
            found.append(Window(window[3], int(window[1], 16), int(window[2])))
        else:
            words = page[5].split()
            pte = dict(zip(words[::2], map(int, words[1::2])), frame=int(page[4], 16))
            found[-1].pages.append(Page(int(page[1], 16), int(page[2], 16), page[3], pte))
    return found


def check(found):
    """What holds for every page that is mapped."""
    for window in found:
        for page in window.pages:
            where = f"{window.name}: {page}"
            assert window.address <= page.address < window.address + window.size * 4096, where
            assert page.pte["frame"] == page.frame, where
            assert page.pte["user"] == 0, where
            assert (page.pte["present"], page.pte["nx"]) == (1, 1), where
            assert page.pte["writable"] == (page.access == "rw"), where
    mapped = {window.name for window in found if window.pages}
    assert {"shared info", "grant table", "xenstore ring"} <= mapped


def probe(guest, addresses, seconds):
    """Run the probe in the guest; what it counted."""
    guest.write_file("/tmp/addresses", "".join(f"{address:x}\n" for address in addresses))
    result = guest.run(f"/tmp/pte_probe {seconds} </tmp/addresses", timeout=120 + 10 * seconds, check=False)
    assert result.status == 0, result.out + result.err
    words = result.out.split()
    return dict(zip(words[::2], map(int, words[1::2])))


@pytest.mark.vcpus(2, more=(1, 4))
def test_user_space_cannot_reach_what_xpv_maps(xpv):
    """Neither idle nor while all vCPUs use grants, rings and events, nor after unloading."""
    xpv.write_program("pte_probe", built.program("pte_probe", "-O1"))
    xpv.load_xpv()
    node = xpv.wait_for_disk()
    assert xpv.run(f"stat -c '%a %U' {FILE}").out.split() == ["400", "root"]
    before = windows(xpv)
    check(before)
    # Also of the pages that show nothing.
    addresses = [window.address + number * 4096 for window in before for number in range(window.size)]
    assert len(addresses) >= 3
    idle = probe(xpv, addresses, 2)
    assert (idle["addresses"], idle["cpus"]) == (len(addresses), xpv.vcpus)

    def sectors():
        read, written = xpv.run(f"awk '{{print $3, $7}}' /sys/block/{node.split('/')[-1]}/stat").out.split()
        return int(read), int(written)

    start = sectors()
    load = xpv.start(LOAD.format(node=node, jobs=xpv.vcpus, last=xpv.vcpus - 1))
    wait_until(xpv, f"[ $(awk '{{print $7}}' /sys/block/{node.split('/')[-1]}/stat) -gt {start[1] + 1000} ]", 120)
    running = sectors()
    busy = probe(xpv, addresses, 5)
    assert all(now > then for now, then in zip(sectors(), running))
    assert (busy["addresses"], busy["cpus"]) == (len(addresses), xpv.vcpus)
    assert busy["passes"] > 0 and busy["faulted"] >= len(addresses) * xpv.vcpus
    assert busy["used"] == busy["elsewhere"] == 0
    after = windows(xpv)
    check(after)
    assert [(w.name, w.address) for w in after] == [(w.name, w.address) for w in before]
    assert load.running()
    xpv.run("pkill -INT -o -x fio")
    assert load.wait(600).status == 128

    xpv.unload_xpv()
    assert probe(xpv, addresses, 1)["used"] == 0


@pytest.mark.matrix
@pytest.mark.vcpus(4, more=(1, 2))
def test_addresses_are_hidden_as_the_kernel_is_told(xpv):
    real = {window.address for window in windows(xpv)}
    assert not real & {window.address for window in windows(xpv, kptr_restrict=0)}
    assert {window.address for window in windows(xpv, kptr_restrict=2)} == {0}


def test_kcore_reads_windows_as_holes(xpv):
    """The frames are not Linux's: it must neither look for them in its own memory, nor show them."""
    xpv.load_xpv()
    xpv.write_file("/tmp/kcore.py", KCORE)
    addresses = [page.address for window in windows(xpv) for page in window.pages]
    lines = xpv.run("python3 /tmp/kcore.py " + " ".join(f"{address:x}" for address in addresses)).out.splitlines()
    assert lines == ["{0}"] * len(addresses)
    xpv.unload_xpv()
