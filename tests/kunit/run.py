#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Run the KUnit suites in a QEMU guest and report each case.

    tests/kunit/run.py [--junit FILE] [--processors N] [--cmdline TEXT] [SUITE...]

SUITE is lib, evtchn, ... (all by default). The modules are built against the
kernel of kernel.py with a fake hypervisor inside. Each suite starts with none
of the modules loaded, and unloads all of them at its end. The kernel's own
kunit.py reads the results. Whatever else the kernel complains about (warnings,
KASAN, lockdep, leaks ...) fails a case of its own, "kernel log".
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import kernel

os.environ["PATH"] += ":/usr/sbin:/sbin" # modinfo
ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "kunit"
TIMEOUT = 600
PROCESSORS = 2
# Suites that run more than once: name of the run, and the parameters of a module.
VARIANTS = {"evtchn": {"evtchn_2level": {"xpv_evtchn": "abi=2level"}, "evtchn_fifo": {"xpv_evtchn": "abi=fifo"}}}

# What a kernel writes when something is wrong.
SPLAT = re.compile(
    r"WARNING:|BUG:|BUG at|Oops|general protection fault|KASAN|Kernel panic|Call Trace:|"
    r"INFO: (possible|task|rcu|trying|suspicious|inconsistent)|"
    r"possible (circular|recursive) locking|inconsistent lock state|"
    r"sleeping function called|scheduling while atomic|"
    r"ODEBUG:|list_(add|del) corruption|refcount_t:|unreferenced object|"
    r"stack-protector:|Unpatched return thunk|unexpected CFI|"
    r"(xpv_\w+): (disagrees about|Unknown symbol|no symbol version)|"
    r"cannot (load|unload) module")

INIT = """#!/bin/busybox sh
# Runs in the guest. Lines for the kernel log keep the order of events.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t debugfs debug /sys/kernel/debug
say() { echo "xpv-kunit: $*" > /dev/kmsg; }
suite() { # name, modules in load order, each with a colon and its parameters
	say "begin $1"
	loaded=""
	for entry in $2; do
		module=${entry%%%%:*}
		if insmod /$module.ko ${entry#$module:}; then loaded="$module $loaded"; else say "cannot load module $module"; fi
	done
	for module in $loaded; do rmmod $module || say "cannot unload module $module"; done
	say "end $1"
}
say "processors $(nproc)"
%(suites)s
# kmemleak reports what is older than 5 seconds and was found lost by a scan.
if test -w /sys/kernel/debug/kmemleak; then
	sleep 6
	echo scan > /sys/kernel/debug/kmemleak
	sleep 1
	echo scan > /sys/kernel/debug/kmemleak
	while read -r line; do say "$line"; done < /sys/kernel/debug/kmemleak
fi
say "done"
reboot -f
"""


class Case:
    """One result: name, outcome (passed, failed, skipped) and text."""

    def __init__(self, suite, name, outcome, text=""):
        self.suite, self.name, self.outcome, self.text = suite, name, outcome, text


def build_modules(tree, log):
    command = ["make", "-C", ROOT, f"-j{os.cpu_count()}", "modules", f"KDIR={tree}", f"BUILD={BUILD}",
               "CONFIG_XPV_FAKE_HYPERVISOR=y"]
    kernel.run(command, log)


def find_modules():
    return {path.stem: path for path in BUILD.rglob("*.ko")}


def load_order(name, modules):
    """The module and what it depends on, that first."""
    order = []

    def visit(module):
        if module in order:
            return
        depends = subprocess.check_output(["modinfo", "-F", "depends", modules[module]], text=True)
        for needed in filter(None, depends.strip().split(",")):
            visit(needed)
        order.append(module)

    visit(name)
    return order


def make_initramfs(tree, path, suites, modules):
    """Made with the kernel's own tool, which needs no root to make device nodes."""
    with tempfile.TemporaryDirectory() as directory:
        lines = [f"dir /{folder} 755 0 0" for folder in ("bin", "proc", "sys", "dev")]
        lines += ["nod /dev/console 600 0 0 c 5 1", "nod /dev/kmsg 644 0 0 c 1 11",
                  "file /bin/busybox /bin/busybox 755 0 0"]
        calls = []
        needed = set()
        for suite in suites:
            order = load_order(f"xpv_{suite}_kunit", modules)
            needed.update(order)
            for run, parameters in VARIANTS.get(suite, {suite: {}}).items():
                entries = " ".join(f"{module}:{parameters.get(module, '')}" for module in order)
                calls.append(f'suite {run} "{entries}"')
        lines += [f"file /{module}.ko {modules[module]} 644 0 0" for module in sorted(needed)]
        init = Path(directory) / "init"
        init.write_text(INIT % {"suites": "\n".join(calls)})
        lines.append(f"file /init {init} 755 0 0")
        contents = Path(directory) / "contents"
        contents.write_text("\n".join(lines) + "\n")
        path.write_bytes(subprocess.check_output([tree / "usr/gen_init_cpio", contents]))


def tsc_khz(directory):
    """The frequency of the guest's TSC, which is this machine's. The kernel's own measurement is wrong on a busy machine."""
    program = Path(directory) / "tsc_khz"
    subprocess.run(["cc", "-O2", "-o", program, Path(__file__).with_name("tsc_khz.c")], check=True)
    return int(subprocess.check_output([program]))


def run_guest(tree, initramfs, console, processors, cmdline):
    """Boot, show progress, leave the console's text in a file. True if it came to its end."""
    with tempfile.TemporaryDirectory() as directory:
        cmdline = f"tsc=reliable tsc_early_khz={tsc_khz(directory)} {cmdline}"
    # Without la57: identify_cpu() clears the CPU's features for a moment, and KASAN takes an interrupt in that moment
    # for an access outside of memory, because it asks them for the number of page table levels.
    command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max,la57=off",
               "-smp", f"{processors},sockets={processors}", "-m", "1024",
               "-nodefaults", "-display", "none", "-no-reboot", "-serial", f"file:{console}",
               "-kernel", tree / "arch/x86/boot/bzImage", "-initrd", initramfs,
               "-append", f"console=ttyS0 panic=-1 kmemleak=on {cmdline}"]
    console.write_bytes(b"")
    process = subprocess.Popen(command)
    deadline = time.monotonic() + TIMEOUT
    shown = 0
    try:
        while True:
            ended = process.poll() is not None
            # Complete lines only: the guest may be in the middle of one.
            lines = console.read_text(errors="replace").split("\n")[:-1]
            for line in lines[shown:]:
                if "xpv-kunit: begin" in line or "xpv-kunit: end" in line:
                    print("  " + line.strip(), flush=True)
            shown = len(lines)
            if ended:
                return any("xpv-kunit: done" in line for line in lines)
            if time.monotonic() > deadline:
                print(f"  the guest did not end within {TIMEOUT} s", flush=True)
                return False
            time.sleep(0.5)
    finally:
        process.kill()
        process.wait()


def splats(lines):
    found = []
    for number, line in enumerate(lines):
        if SPLAT.search(line):
            found.append("\n".join(lines[number:number + 30]))
    return found


def split_console(text):
    """The console's lines by suite; under "" those of no suite (boot, leak report)."""
    parts = {"": []}
    ended = set()
    current = ""
    for line in text.replace("\r", "").splitlines():
        marker = re.search(r"xpv-kunit: (begin|end) (\w+)", line)
        if marker and marker[1] == "begin":
            current = marker[2]
            parts[current] = []
        elif marker:
            ended.add(marker[2])
            current = ""
        else:
            parts[current].append(line)
    return parts, ended


def parse_suite(tree, suite, lines):
    """The suite's cases, as the kernel's parser sees them."""
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        result = Path(directory) / "result.json"
        log.write_text("\n".join(lines) + "\n")
        parser = subprocess.run(
            ["/usr/bin/python3", tree / "tools/testing/kunit/kunit.py", "parse", f"--json={result}", log],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if not result.exists():
            return [Case(suite, "(suite)", "failed", "kunit.py found no results:\n" + parser.stdout)]
        report = json.loads(result.read_text())
    cases = []
    outcomes = {"PASS": "passed", "SKIP": "skipped"}

    def collect(group, path):
        for case in group.get("test_cases", []):
            name = "/".join(path[1:] + [case["name"]]) if len(path) > 1 else case["name"]
            outcome = outcomes.get(case["status"], "failed")
            text = parser.stdout if outcome == "failed" else ""
            cases.append(Case(suite, name, outcome, text))
        for sub_group in group.get("sub_groups", []):
            collect(sub_group, path + [sub_group["name"]])

    for group in report.get("sub_groups", []):
        collect(group, [group["name"]])
    # What is wrong with the suite as a whole (a wrong count, a failing
    # suite_exit) shows in none of its cases.
    wrong = parser.returncode or any(re.search(r"(^|\] )\s*not ok ", line) for line in lines)
    if not cases:
        cases.append(Case(suite, "(suite)", "failed", "no case was run:\n" + parser.stdout))
    elif wrong and not any(case.outcome == "failed" for case in cases):
        cases.append(Case(suite, "(suite)", "failed", parser.stdout))
    return cases


def judge(tree, suites, text, complete, processors=PROCESSORS):
    """All cases of a run, from the console's text."""
    parts, ended = split_console(text)
    cases = []
    for suite in [run for suite in suites for run in VARIANTS.get(suite, [suite])]:
        lines = parts.get(suite)
        if lines is None:
            cases.append(Case(suite, "(suite)", "failed", "the suite was not started"))
            continue
        cases += parse_suite(tree, suite, lines)
        complaints = splats(lines)
        if suite not in ended:
            complaints.append("the guest died in this suite:\n" + "\n".join(lines[-40:]))
        cases.append(Case(suite, "kernel log", "failed" if complaints else "passed", "\n\n".join(complaints)))
    complaints = splats(parts[""])
    if f"xpv-kunit: processors {processors}\n" not in text.replace("\r", ""):
        complaints.append(f"the guest did not start with {processors} processors")
    if not complete:
        complaints.append("the guest did not come to its end:\n" + "\n".join(text.splitlines()[-40:]))
    cases.append(Case("kernel", "kernel log", "failed" if complaints else "passed", "\n\n".join(complaints)))
    return cases


def write_junit(cases, path, seconds):
    root = ElementTree.Element("testsuites")
    for name in dict.fromkeys(case.suite for case in cases):
        members = [case for case in cases if case.suite == name]
        suite = ElementTree.SubElement(
            root, "testsuite", name=f"kunit.{name}", tests=str(len(members)), errors="0", time=f"{seconds:.1f}",
            failures=str(sum(case.outcome == "failed" for case in members)),
            skipped=str(sum(case.outcome == "skipped" for case in members)))
        for case in members:
            element = ElementTree.SubElement(suite, "testcase", classname=f"kunit.{name}", name=case.name)
            if case.outcome != "passed":
                tag = "failure" if case.outcome == "failed" else "skipped"
                printable = re.sub(r"[^\t\n\x20-\x7e]", "", case.text)
                ElementTree.SubElement(element, tag, message=case.name).text = printable
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(root).write(path, encoding="unicode", xml_declaration=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--junit", type=Path, default=ROOT / "build/results/kunit.xml")
    arguments.add_argument("--processors", type=int, default=PROCESSORS)
    arguments.add_argument("--cmdline", default="", help="more for the kernel's command line")
    arguments.add_argument("suites", nargs="*")
    options = arguments.parse_args()

    started = time.monotonic()
    tree = kernel.get()
    BUILD.mkdir(parents=True, exist_ok=True)
    log = BUILD / "build.log"
    log.unlink(missing_ok=True)
    print(f"building the modules with the fake hypervisor; log: {log}", flush=True)
    build_modules(tree, log)
    modules = find_modules()
    suites = options.suites or sorted(
        name.removeprefix("xpv_").removesuffix("_kunit") for name in modules if name.endswith("_kunit"))
    missing = [suite for suite in suites if f"xpv_{suite}_kunit" not in modules]
    if missing or not suites:
        sys.exit(f"no such suite: {' '.join(missing)}")

    initramfs = BUILD / "initramfs.cpio"
    console = BUILD / "console.log"
    make_initramfs(tree, initramfs, suites, modules)
    print(f"running in a guest; console: {console}", flush=True)
    complete = run_guest(tree, initramfs, console, options.processors, options.cmdline)
    cases = judge(tree, suites, console.read_text(errors="replace"), complete, options.processors)

    write_junit(cases, options.junit, time.monotonic() - started)
    for case in cases:
        if case.outcome != "passed":
            print(f"{case.outcome.upper()}: {case.suite}: {case.name}\n{case.text}\n")
    count = {outcome: sum(case.outcome == outcome for case in cases) for outcome in ("passed", "failed", "skipped")}
    print(f"kunit: {count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    sys.exit(1 if count["failed"] else 0)


if __name__ == "__main__":
    main()
