# SPDX-License-Identifier: GPL-2.0-only
"""The commands of tests/lab/lab."""

import argparse
import signal
import sys
from pathlib import Path

from . import cache, debian, images, qemu
from . import shell as person
from . import soak as load
from .errors import EmulatorFault, LabError
from .host import Host
from .progress import say

# Exit statuses: a run that says nothing is told apart from one that failed.
PASSED, FAILED, NO_VERDICT = 0, 1, 3


def _guest_options(parser):
    parser.add_argument("--type", choices=["hvm", "pvh", "pv"], default="hvm")
    parser.add_argument("--kernel", choices=["6.1", "6.12", "6.1-rt"], default="6.12",
                        help="series of the guest's stock Debian kernel")
    parser.add_argument("--drivers", choices=["intree", "xpv"], default="intree",
                        help="xpv boots the guest with xen_nopv and loads --modules")
    parser.add_argument("--modules", type=Path, metavar="DIR",
                        help="directory of xpv's .ko files, or with one such "
                             "subdirectory for each kernel series or release")
    parser.add_argument("--vcpus", type=int, default=2)
    parser.add_argument("--memory", type=int, default=512, metavar="MIB")
    parser.add_argument("--disks", type=int, default=1,
                        help="number of disks of 256 MiB, the first is xvda")
    parser.add_argument("--vifs", type=int, default=0)
    parser.add_argument("--cmdline", default="", help="more for the guest's kernel command line")


def _guest(host, args):
    return host.guest(type=args.type, kernel=args.kernel, drivers=args.drivers,
                      modules=args.modules, vcpus=args.vcpus, memory=args.memory,
                      disks=args.disks, vifs=args.vifs, cmdline=args.cmdline)


def deps(_args):
    debian.install_missing()


def build(_args):
    debian.install_missing()
    emulator = qemu.build()
    dom0 = images.dom0()
    guest = images.guest()
    print(f"emulator  {emulator.binary}{'' if emulator.trusted else ' (stock: guests are pinned)'}")
    print(f"dom0      {dom0.disk}, kernel {dom0.kernel.release}")
    print(f"guests    {guest.root}, kernels "
          + ", ".join(k.release for k in guest.kernels.values()))


def run(args):
    with Host(memory=args.host_memory) as host:
        with _guest(host, args) as guest:
            if args.drivers == "xpv" and not args.no_load:
                guest.load_xpv()
            if args.dom0_script:
                result = host.run(f"guest={guest.name}\n" + args.dom0_script.read_text(),
                                  timeout=args.timeout)
                sys.stdout.write(result.out)
                sys.stderr.write(result.err)
            if args.guest_script:
                result = guest.run(args.guest_script.read_text(), timeout=args.timeout)
                sys.stdout.write(result.out)
                sys.stderr.write(result.err)
            if not (args.dom0_script or args.guest_script):
                print(guest.run("uname -a; cat /proc/partitions; ip -br link").out)
    print(f"passed; logs in {host.run_dir}")


def shell(args):
    person.run(dict(type=args.type, kernel=args.kernel, drivers=args.drivers, modules=args.modules,
                    vcpus=args.vcpus, memory=args.memory, disks=args.disks, vifs=args.vifs,
                    cmdline=args.cmdline))


def soak(args):
    drivers = ["intree", "xpv"] if args.drivers == "both" else [args.drivers]
    results = load.run(drivers, args.modules, args.minutes, args.guests, args.kernel)
    failed = False
    for kind, result in results.items():
        print(f"{kind}: {result.seconds / 60:.0f} domU-minutes, {result.rounds} verified rounds, "
              f"{len(result.failures)} failures, {len(result.faults)} emulator faults")
        for text in result.failures + result.faults:
            print(f"  {text[:2000]}")
        failed = failed or bool(result.failures) or not result.rounds
    if failed:
        raise LabError("the soak failed")


def clean(args):
    keep = set()
    if not args.all:
        keep = {qemu.build().binary.rsplit("/", 1)[0], str(images.dom0().disk.parent),
                str(images.guest().root.parent)}
    for path in sorted(cache.root().iterdir()):
        if path.name == "locks" or str(path) in keep:
            continue
        if not args.all and path.name.startswith(("deb-", "kernel-", "kunit-")):
            continue
        say(f"removing {path}")
        cache.remove_tree(path)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="lab", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("deps", help="install the packages the lab needs")
    command.set_defaults(run=deps)

    command = commands.add_parser("build", help="build and cache the emulator and the images")
    command.set_defaults(run=build)

    command = commands.add_parser(
        "run", help="boot Xen, dom0 and one guest; run scripts; check the logs",
        epilog="Exit status: 0 passed, 1 failed, 3 the emulator corrupted a guest: no verdict.")
    _guest_options(command)
    command.add_argument("--no-load", action="store_true", help="do not load the xpv modules")
    command.add_argument("--guest-script", type=Path, metavar="FILE",
                         help="shell script to run in the guest")
    command.add_argument("--dom0-script", type=Path, metavar="FILE",
                         help="shell script to run in dom0, before the guest's; $guest is its name")
    command.add_argument("--timeout", type=int, default=600, help="seconds for each script")
    command.add_argument("--host-memory", type=int, default=4096, metavar="MIB")
    command.set_defaults(run=run)

    command = commands.add_parser("shell", help="a shell in dom0 with a running guest")
    _guest_options(command)
    command.set_defaults(run=shell)

    command = commands.add_parser(
        "soak", help="guests under heavy disk load, and with the kernel's drivers network load, for a long time")
    command.add_argument("--drivers", choices=["intree", "xpv", "both"], default="both")
    command.add_argument("--modules", type=Path, metavar="DIR", help="directory of xpv's .ko files")
    command.add_argument("--kernel", choices=["6.1", "6.12"], default="6.12")
    command.add_argument("--minutes", type=int, default=60, help="guest minutes for each kind of drivers")
    command.add_argument("--guests", type=int, default=2, help="guests of each kind at once")
    command.set_defaults(run=soak)

    command = commands.add_parser("clean", help="remove logs and outdated cache entries")
    command.add_argument("--all", action="store_true", help="the whole cache")
    command.set_defaults(run=clean)

    args = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        args.run(args)
    except EmulatorFault as error:
        print(f"lab: no verdict: {error}", file=sys.stderr)
        return NO_VERDICT
    except LabError as error:
        print(f"lab: failed: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return 130
    return PASSED
