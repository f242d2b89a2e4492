# SPDX-License-Identifier: GPL-2.0-only
"""Xen's stock user space in a guest that xpv owns: Debian's xenstore tools and
libraries over /dev/xen/*, compared with the same in a guest whose kernel has
its own drivers."""

import re
import subprocess
from pathlib import Path

import pytest

from xpvlab import kernels, xenstate
from xpvlab.underload import IMAGE, expect_alive
from xpvlab.waiting import shell_until, until

FILES = "/lab/payload/files"
VCHAN = Path(__file__).parent / "inside" / "vchan.c"
# What the in-tree nodes are made of, where that is not built in.
INTREE_MODULES = "xen-evtchn xen-gntdev xen-gntalloc"

# Each command, what it wrote, and its exit code.
STORE_TOOLS = r"""
cd /tmp
me=$(xenstore-read domid)
p=data/lab
say() { echo "+ $*"; "$@" 2>&1; echo "= $?"; }
say xenstore-exists $p
say xenstore-write $p/a 1 $p/b "two words" $p/c/d ""
say xenstore-read $p/a $p/b
say xenstore-read -p $p/a
say xenstore-read $p/none
say xenstore-exists $p/a
say xenstore-exists $p/none
say xenstore-list $p
say xenstore-list -p $p
say xenstore-list $p/none
say xenstore-ls $p
say xenstore-ls -f -p $p
say xenstore-chmod $p/a n$me r0
say xenstore-ls -p $p
say xenstore-chmod -r $p n$me b0
say xenstore-ls -p $p
say xenstore-chmod $p/a n0
say xenstore-write /local/domain/0/lab x
say xenstore-read /local/domain/0/lab
say xenstore-rm $p/b
say xenstore-rm $p/b
say xenstore-write $p/long "$(head -c 2000 /dev/zero | tr '\0' x)"
xenstore-read $p/long | wc -c
say xenstore-write $p/longer "$(head -c 4000 /dev/zero | tr '\0' x)"
say xenstore-write "$p/$(head -c 2100 /dev/zero | tr '\0' n)" x
say xenstore-rm -t $p/c/d
say xenstore-rm $p
say xenstore-exists $p
say xenstore-ls /tool
"""

# Every event, in order, and an end by itself after so many.
WATCH = r"""
cd /tmp
p=data/lab
xenstore-write $p/a 0
xenstore-watch -n 6 $p >/tmp/watch.out 2>&1 &
""" + shell_until("grep -q . /tmp/watch.out") + r"""
xenstore-write $p/a 1
xenstore-write $p/b/c 2
xenstore-write $p/b/d 3
xenstore-rm $p/b
xenstore-write data/elsewhere 1
xenstore-write $p/a 4
wait
cat /tmp/watch.out
xenstore-rm $p
xenstore-rm data/elsewhere
"""

SYSFS = "cd /sys/hypervisor && for f in type guest_type version/* compilation/* properties/*; do " \
        "echo $f: $(base64 -w0 $f); done; cat uuid"


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """Files for guests: Xen's own test of a store, and a vchan program with
    the libraries that the guests' image does not have."""
    directory = tmp_path_factory.mktemp("programs")
    vchan = directory / "vchan"
    subprocess.run(["gcc", "-O2", "-Wall", "-o", vchan, VCHAN, "-lxenvchan"], check=True)
    libraries = re.findall(r"=> (/\S*libxen\S+)", subprocess.check_output(["ldd", vchan], text=True))
    assert any("libxenvchan" in library for library in libraries)
    test = kernels.unpacked("xen-utils-4.17") / "usr/lib/xen-4.17/bin/test-xenstore"
    assert test.exists()
    return [vchan, test, *map(Path, libraries)]


@pytest.fixture
def owned(guest, modules, programs):
    """Boots a guest with xpv loaded."""
    def boot(**options):
        one = guest(drivers="xpv", modules=modules, files=programs, **options)
        one.load_xpv()
        return one
    return boot


@pytest.fixture
def stock(guest, programs):
    """Boots a guest with the kernel's own drivers."""
    def boot(**options):
        one = guest(drivers="intree", files=programs, **options)
        one.run(f"for m in {INTREE_MODULES}; do modprobe $m; done; ls /dev/xen/evtchn /dev/xen/gntdev /dev/xen/gntalloc")
        return one
    return boot


@pytest.mark.vcpus(2)
def test_nodes(xpv):
    """Debian's tools over the nodes, in short; the long of it is below."""
    xpv.load_xpv()
    xpv.wait_for_disk()
    watches = xpv.counts("xenbus")["watches"]
    assert xpv.run("stat -c '%a %U %F' /dev/xen/*").out.split("\n")[:-1] == ["600 root character special file"] * 4
    said = xpv.run(STORE_TOOLS, timeout=300).out
    assert "+ xenstore-read data/lab/a data/lab/b\n1\ntwo words\n= 0\n" in said
    assert "+ xenstore-rm data/lab\n= 0\n+ xenstore-exists data/lab\n= 1\n" in said
    seen = [line for line in xpv.run(WATCH, timeout=300).out.splitlines() if line]
    assert seen == ["data/lab", "data/lab/a", "data/lab/b/c", "data/lab/b/d", "data/lab/b", "data/lab/a"]
    xpv.run("xenstore-watch data & sleep 2; kill -9 $!; wait", check=False)
    until(lambda: xpv.counts("xenbus")["watches"] == watches)
    assert "uuid" in xpv.run("ls /sys/hypervisor").out
    xpv.unload_xpv()


def same_for_all(guest, text):
    """A command's output without what tells one domain from another."""
    return re.sub(rf"(\b[nrwb]|/local/domain/){guest.domid}\b", r"\1ID", text)


def run_test_xenstore(host, guest, arguments):
    """The node in which it works has to be made by dom0."""
    node = f"/local/domain/{guest.domid}/xenstore-test"
    host.run(f"xenstore-write {node} '' && xenstore-chmod {node} n{guest.domid}")
    result = guest.run(f"{FILES}/test-xenstore {arguments} 2>&1", timeout=600, check=False)
    host.run(f"xenstore-rm {node}", check=False)
    assert result.status == 0, result.out
    return result.out


@pytest.mark.matrix
@pytest.mark.newest_kernel
def test_store_tools(owned, stock, host):
    """The tools say the same, byte for byte, as over the in-tree node; nothing is left of them in the end."""
    ours, theirs = owned(), stock()
    assert ours.run("stat -c '%a %U %F' /dev/xen/*").out.split("\n")[:-1] \
        == ["600 root character special file"] * 4

    watches, open_watches = xenstate.watches(host, ours.domid), ours.counts("xenbus")["watches"]
    for script in (STORE_TOOLS, WATCH):
        got = same_for_all(ours, ours.run(script, timeout=300).out)
        wanted = same_for_all(theirs, theirs.run(script, timeout=300).out)
        assert got == wanted
    assert "two words" in got or "data/lab/b/d" in got

    run_test_xenstore(host, theirs, "-i 20")
    names = [line.split(":")[0].strip() for line in run_test_xenstore(host, ours, "-i 20").splitlines()]
    assert "ta err" in names and not [name for name in names if "failed" in name]
    run_test_xenstore(host, ours, "-r 20")

    # A client that dies takes its watches and transactions with it.
    ours.run("for i in 1 2 3 4 5; do xenstore-watch data device & done; sleep 2; kill -9 $(jobs -p); wait",
             check=False)
    until(lambda: ours.counts("xenbus")["watches"] == open_watches)
    until(lambda: xenstate.watches(host, ours.domid) == watches)

    # Sixteen at once, each with its own nodes, some killed on their way.
    ours.run(r"""
        client() {
            for i in $(seq 1 8); do
                xenstore-write data/many/$1 $i || exit 1
                [ "$(xenstore-read data/many/$1)" = $i ] || exit 1
            done
        }
        for n in $(seq 1 16); do client $n & clients="$clients $!"; done
        for n in $(seq 1 10); do
            xenstore-watch data/many & victim=$!; sleep 0.2; kill -9 $victim
        done
        for client in $clients; do wait $client || exit 1; done
        xenstore-rm data/many""", timeout=600)
    until(lambda: ours.counts("xenbus")["watches"] == open_watches)
    assert ours.counts("xenbus")["in_flight"] == 0 and ours.counts("xenbus")["timed_out"] == 0

    # While a node is open its module stays.
    holder = ours.start("exec xenstore-watch data")
    until(lambda: ours.counts("xenbus")["watches"] == open_watches + 1)
    assert ours.run("rmmod xpv_xenbus", check=False).status != 0
    holder.kill()
    until(lambda: ours.counts("xenbus")["watches"] == open_watches)

    *lines, uuid = ours.run(SYSFS).out.splitlines()
    *wanted, _ = theirs.run(SYSFS).out.splitlines()
    assert lines == wanted
    assert uuid in host.run(f"xl list -v {ours.domid}").out
    ours.unload_xpv()
    assert not ours.run("ls -A /sys/hypervisor; [ ! -e /dev/xen ] || ls -A /dev/xen").out


# ---- Pages, without any library ----

COMMON = r"""
import fcntl, mmap, os, struct, sys, time
def ioc(number, size): return size << 16 | ord("G") << 8 | number
"""
# Grants a page to a domain, says its reference, and waits.
GRANT = COMMON + r"""
alloc = os.open("/dev/xen/gntalloc", os.O_RDWR)
request = bytearray(struct.pack("=HHIQI4x", PEER, 1, 1, 0, 0))
fcntl.ioctl(alloc, ioc(5, 24), request)
index, reference = struct.unpack("=8xQI4x", request)
page = mmap.mmap(alloc, 4096, mmap.MAP_SHARED, offset=index)
page[:5] = b"hello"
open("/tmp/reference.new", "w").write(str(reference))
os.rename("/tmp/reference.new", "/tmp/reference")
while page[5:11] != b" world":
    time.sleep(0.1)
open("/tmp/answered", "w")
time.sleep(3600)
"""
# Maps it in all the ways that are refused, and in the one that works.
MAP = COMMON + r"""
dev = os.open("/dev/xen/gntdev", os.O_RDWR)
def name(domain):
    request = bytearray(struct.pack("=IIQII", 1, 0, 0, domain, REFERENCE))
    fcntl.ioctl(dev, ioc(0, 24), request)
    return struct.unpack("=8xQ8x", request)[0]
def refused(length, offset, flags=mmap.MAP_SHARED):
    try:
        mmap.mmap(dev, length, flags, offset=offset)
    except OSError:
        return True
index = name(PEER)
assert refused(8192, index) and refused(4096, index, mmap.MAP_PRIVATE) and refused(4096, index + 4096)
assert refused(4096, name(OWN))
page = mmap.mmap(dev, 4096, mmap.MAP_SHARED, offset=index)
assert refused(4096, index)
assert page[:5] == b"hello"
page[5:11] = b" world"
# Write-back cached? What is not takes a hundred times as long to read.
def seconds(memory):
    best = 1e9
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(200):
            memory[:]
        best = min(best, time.perf_counter() - start)
    return best
own, mapped = seconds(mmap.mmap(-1, 4096)), seconds(page)
print(f"200 reads of a page: own {own:.6f} s, mapped {mapped:.6f} s")
os.system("mount -t debugfs debug /sys/kernel/debug 2>/dev/null; cat /sys/kernel/debug/x86/pat_memtype_list")
sys.stdout.flush()
if len(sys.argv) > 1:
    os.kill(os.getpid(), 9)
"""


def shares_a_page(owner, user):
    """From gntalloc in one guest to gntdev in the other; then with deaths at either end."""
    owner.run("rm -f /tmp/reference /tmp/answered")
    owner.write_file("/tmp/grant.py", GRANT.replace("PEER", str(user.domid)))
    grants = owner.start("exec python3 /tmp/grant.py")
    until(lambda: owner.run("test -e /tmp/reference", check=False).status == 0)
    reference = owner.run("cat /tmp/reference").out
    user.write_file("/tmp/map.py", MAP.replace("PEER", str(owner.domid)).replace("OWN", str(user.domid))
                    .replace("REFERENCE", reference))
    shown = user.run("python3 /tmp/map.py").out
    print(shown)
    until(lambda: owner.run("test -e /tmp/answered", check=False).status == 0)
    times = [float(number) for number in re.findall(r"([\d.]+) s", shown)]
    assert times[1] < 10 * times[0] + 0.01
    # The account that Linux keeps of memory types is there while the page is mapped.
    types = [line for line in shown.splitlines() if line.startswith("PAT:")]
    assert not types or [line for line in types if "write-back" in line]
    user.run("python3 /tmp/map.py die", check=False)
    grants.kill()


# ---- vchan ----

def path_of(server):
    return f"/local/domain/{server.domid}/data/vchan"


def serve(server, client):
    """A server that writes what comes to /tmp/received; its job."""
    server.run("rm -f /tmp/received /tmp/log")
    job = server.start(f"export LD_LIBRARY_PATH={FILES}; "
                       f"exec {FILES}/vchan serve {client.domid} {path_of(server)} >/tmp/received 2>/tmp/log")
    said(server, "/tmp/log", "ready")
    return job


def said(guest, log, word, seconds=60):
    until(lambda: guest.run(f"grep -qx {word} {log}", check=False).status == 0, seconds)


def exchange(server, client, megabytes):
    """From client to server; the sums at both ends."""
    job = serve(server, client)
    client.run("rm -f /tmp/sent")
    command = f"{FILES}/vchan send {server.domid} {path_of(server)}"
    sent = client.run(f"set -o pipefail; export LD_LIBRARY_PATH={FILES}; "
                      f"head -c {megabytes}M /dev/urandom | tee >(sha256sum >/tmp/sent) | {command} || exit 1; "
                      f"{shell_until('[ -s /tmp/sent ]')}; cat /tmp/sent",
                      timeout=900).out.split()[0]
    assert job.wait(120).status == 0, server.run("cat /tmp/log").out
    size, = server.run("stat -c %s /tmp/received").out.split()
    assert int(size) == megabytes << 20
    assert server.run("sha256sum </tmp/received").out.split()[0] == sent
    server.run("rm /tmp/received")


def nothing_left(guest):
    """Neither grants nor mappings nor ports of user space, though their processes are gone."""
    def clean():
        now = guest.counts("gnttab")
        ports = guest.run("grep -c evtchn: /sys/kernel/debug/xpv/evtchn", check=False).out.strip()
        return now["parked"] == 0 and now["foreign"] == 0 and now["foreign stuck"] == 0 \
            and now["lost"] == 0 and ports == "0"
    until(clean)


@pytest.mark.matrix
@pytest.mark.newest_kernel
def test_two_guests_of_xpv(owned, host):
    """Pages and vchans: gntalloc and evtchn at one end, gntdev and evtchn at the other."""
    a, b = owned(memory=640), owned(memory=640)
    granted = {one: xenstate.granted(host, one.domid) for one in (a, b)}
    shares_a_page(a, b)
    exchange(a, b, 64)
    exchange(b, a, 16)

    # Who dies tells the other end, by the byte that is cleared and the event that is sent for it.
    job = serve(a, b)
    client = b.start(f"export LD_LIBRARY_PATH={FILES}; exec {FILES}/vchan hold {a.domid} {path_of(a)} 2>/tmp/log")
    said(b, "/tmp/log", "open")
    said(a, "/tmp/log", "open")
    client.kill()
    assert job.wait(60).status == 0
    said(a, "/tmp/log", "closed")

    job = serve(a, b)
    client = b.start(f"export LD_LIBRARY_PATH={FILES}; exec {FILES}/vchan hold {a.domid} {path_of(a)} 2>/tmp/log")
    said(b, "/tmp/log", "open")
    job.kill()
    assert client.wait(60).status == 0
    said(b, "/tmp/log", "closed")
    a.run(f"xenstore-rm {path_of(a)}", check=False)

    for one in (a, b):
        nothing_left(one)
        assert xenstate.granted(host, one.domid) == granted[one]
        one.unload_xpv()


@pytest.mark.matrix
@pytest.mark.newest_kernel
def test_vchan_with_a_guest_of_the_kernels_own(owned, stock):
    """Each end with the in-tree drivers at the other."""
    ours, theirs = owned(memory=640), stock(memory=640)
    exchange(ours, theirs, 8)
    exchange(theirs, ours, 8)
    nothing_left(ours)
    ours.unload_xpv()


@pytest.mark.matrix
@pytest.mark.vcpus(2)
def test_watch_that_is_refused_after_a_restore(xpv, host):
    """Case 31. xenstored grants the restored guest fewer watches than it had,
    and refuses those of user space among others. A client that takes a refusal
    for the end leaves the process waiting for events for ever. The guest must
    live, and the watches that the process has open work again when more are
    granted."""
    def quota(watches):
        host.run(f"xenstore-control quota set watches {watches}")

    def seen(text):
        return xpv.run(f"grep -c {text} /tmp/watch.refused || true").out.strip()

    permitted = re.search(r"^watches\s*:\s*(\d+)", host.run("xenstore-control quota").out, re.M)[1]
    xpv.load_xpv()
    xpv.wait_for_disk()
    xpv.run("xenstore-write data/refused/a 0 data/refused/b 0; cd /tmp; rm -f watch.refused; "
            "setsid xenstore-watch data/refused/a data/refused/b >watch.refused 2>&1 & echo $! >/tmp/watch.pid; " +
            shell_until("[ $(grep -c refused /tmp/watch.refused) = 2 ]"))
    try:
        xpv.save(IMAGE)
        try:
            xpv.restore(IMAGE, paused=lambda: quota(1))
            host.run(f"rm {IMAGE}")
            expect_alive(xpv)
            until(lambda: "watch" in xpv.run("dmesg | tail -n 50").out, 120)
            xpv.run("kill -0 $(cat /tmp/watch.pid)")
        finally:
            quota(permitted)
        # Its nodes are gone with the old domain; an event of each watch says that it is registered.
        for name in "ab":
            before = seen(f"data/refused/{name}")

            def again():
                host.run(f"xenstore-write /local/domain/{xpv.domid}/data/refused/{name} 1")
                return seen(f"data/refused/{name}") != before

            until(again, 180)
        xpv.run("dd if=/dev/xvda of=/dev/null bs=1M count=8 iflag=direct status=none")
    finally:
        xpv.run("kill $(cat /tmp/watch.pid)", check=False)
    xpv.unload_xpv()
