# SPDX-License-Identifier: GPL-2.0-only
"""What Xen, by `xl debug-keys`, and xenstored say of the domains."""

import itertools
import re


def _report(host, key, begin):
    """The last report of a debug key: Xen's lines after `begin`."""
    host.run("xl dmesg -c >/dev/null")
    host.run(f"xl debug-keys {key}")
    lines = [l.removeprefix("(XEN) ") for l in host.run("xl dmesg").out.splitlines()]
    starts = [i for i, line in enumerate(lines) if re.search(begin, line)]
    return lines[starts[-1] + 1:] if starts else []


def _numbers(host, key, heading, domain, entry, base):
    """The numbers that `entry` finds in a domain's part of such a report: up
    to the next domain's heading."""
    lines = itertools.takewhile(lambda line: not line.startswith(heading), _report(host, key, f"{heading} {domain}"))
    return {int(match[1], base) for match in (re.match(entry, line) for line in lines) if match}


def open_ports(host, domid):
    """The numbers of a domain's open event channel ports."""
    return _numbers(host, "e", "Event channel information", f"for domain {domid}:", r"\s+(\d+) \[.*\]: s=\d", 10)


def granted(host, domid):
    """The references through which another domain uses a domain's memory now."""
    return _numbers(host, "g", "grant-table for remote", rf"d{domid}\b", r"\[0x([0-9a-f]+)\]", 16)


def watches(host, domid):
    """The number of watches that xenstored keeps for a domain: its memory
    report is a tree, in which a domain's connection has both as children."""
    host.run("rm -f /run/lab/memreport; xenstore-control memreport /run/lab/memreport")     # it appends
    counts, path = [], []
    for line in host.run("cat /run/lab/memreport").out.splitlines():
        depth = (len(line) - len(line.lstrip())) // 4
        name = line.split(" contains ")[0].strip()
        del path[depth - 1:]
        path.append(name)
        if name == "struct connection":
            counts.append([False, 0])
        elif "struct connection" in path:
            counts[-1][0] |= path[-2:] == ["struct domain", f"/local/domain/{domid}"]
            counts[-1][1] += name == "struct watch"
    return sum(count for is_its, count in counts if is_its)
