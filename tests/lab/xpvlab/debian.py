# SPDX-License-Identifier: GPL-2.0-only
"""The machine's Debian archive: its sources, packages and versions."""

import os
import re
import subprocess
from pathlib import Path

from .errors import LabError
from .progress import say, step

RELEASE = "bookworm"

# What the lab's own commands need on the build machine.
PACKAGES = """
    build-essential clang dpkg-dev git ninja-build meson pkg-config
    libglib2.0-dev libpixman-1-dev libattr1-dev libcap-ng-dev libfdt-dev
    qemu-system-x86 qemu-system-data seabios ipxe-qemu
    mmdebstrap squashfs-tools e2fsprogs isolinux syslinux-common genisoimage
    linux-headers-amd64 linux-headers-6.12-amd64
    python3 python3-pytest python3-pexpect
""".split()


def sources():
    """The machine's own Debian sources in deb822 form: those of the release
    the lab is built from, third parties left out."""
    stanzas = []
    base = Path("/etc/apt")
    for path in sorted(base.glob("sources.list.d/*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            lines = [l for l in stanza.splitlines() if l and not l.startswith("#")]
            suites = [l for l in lines if l.lower().startswith("suites:")]
            if suites and any(re.fullmatch(rf"{RELEASE}(-.*)?", s)
                              for s in suites[0].split()[1:]):
                lines = [l for l in lines if not l.lower().startswith("types:")]
                stanzas.append("\n".join(["Types: deb"] + lines))
    for path in [base / "sources.list", *sorted(base.glob("sources.list.d/*.list"))]:
        if not path.exists():
            continue
        for line in path.read_text().splitlines():
            match = re.match(r"deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s+(.+)", line)
            if match and re.fullmatch(rf"{RELEASE}(-.*)?", match[3]):
                signed = re.search(r"signed-by=(\S+)", match[1] or "")
                stanza = f"Types: deb\nURIs: {match[2]}\nSuites: {match[3]}\n" \
                         f"Components: {match[4].strip()}"
                if signed:
                    stanza += f"\nSigned-By: {signed[1]}"
                stanzas.append(stanza)
    if not stanzas:
        raise LabError(f"no apt sources for Debian {RELEASE} on this machine")
    return "\n\n".join(stanzas) + "\n"


def installed(package):
    status = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev}", package],
                            capture_output=True, text=True).stdout
    return status.startswith("ii")


def install_missing(packages=None):
    missing = [p for p in (packages or PACKAGES) if not installed(p)]
    if not missing:
        return
    if os.geteuid():
        raise LabError("missing packages (install them, or run as root): "
                       + " ".join(missing))
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    apt = ["apt-get", "-y", "-qq", "-o", "DPkg::Lock::Timeout=600"]
    with step("installing " + " ".join(missing)):
        subprocess.run(apt + ["update"], env=env, check=True, stdout=subprocess.DEVNULL)
        subprocess.run(apt + ["install", "--no-install-recommends"] + missing,
                       env=env, check=True, stdout=subprocess.DEVNULL)
    _candidates.clear()


_candidates = {}


def candidates(packages):
    """The versions apt would install, None for what it does not have."""
    wanted = [p for p in packages if p not in _candidates]
    if wanted:
        out = subprocess.run(["apt-cache", "policy", *wanted], env=dict(os.environ, LC_ALL="C"),
                             capture_output=True, text=True).stdout
        _candidates.update(dict.fromkeys(wanted))
        for name, version in re.findall(r"^(\S+):\n.*\n\s*Candidate: (\S+)", out, re.M):
            _candidates[name] = None if version == "(none)" else version
    return {p: _candidates[p] for p in packages}


def candidate(package):
    return candidates([package])[package]


def fetch_source(package, directory, log):
    """Fetch and unpack a source package into directory/source. The list of
    source packages is kept apart from the machine's own apt state."""
    from .progress import run_logged
    apt = directory / "apt"
    for sub in ("lists/partial", "archives/partial", "parts"):
        (apt / sub).mkdir(parents=True)
    (apt / "parts" / "src.sources").write_text(
        sources().replace("Types: deb\n", "Types: deb-src\n"))
    options = ["-o", "Dir::Etc::SourceList=/dev/null",
               "-o", f"Dir::Etc::SourceParts={apt}/parts",
               "-o", f"Dir::State::Lists={apt}/lists",
               "-o", f"Dir::Cache={apt}", "-o", "APT::Sandbox::User=root"]
    run_logged(["apt-get", *options, "update"], log, cwd=apt)
    run_logged(["apt-get", *options, "--download-only", "source", package], log, cwd=apt)
    dsc = list(apt.glob("*.dsc"))
    if len(dsc) != 1:
        raise LabError(f"no source package {package}; see {log}")
    run_logged(["dpkg-source", "--no-check", "-x", dsc[0], directory / "source"], log)
    say(f"source: {dsc[0].stem}")
    return directory / "source"
