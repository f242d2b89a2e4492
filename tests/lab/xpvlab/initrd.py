# SPDX-License-Identifier: GPL-2.0-only
"""Small initrds: busybox, the modules it takes to reach the root file
system, and the lab's scripts. A few hundred milliseconds to make.
"""

import gzip
import lzma
from pathlib import Path

INSIDE = Path(__file__).parent.parent / "inside"


def _cpio(files):
    """A newc archive; files maps paths to (mode, content)."""
    out = bytearray()

    def member(name, mode, data, number):
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        out.extend(b"070701" + b"".join(b"%08X" % f for f in fields))
        out.extend(name.encode() + b"\0")
        out.extend(b"\0" * (-len(out) % 4))
        out.extend(data)
        out.extend(b"\0" * (-len(out) % 4))

    for number, (name, (mode, data)) in enumerate(files.items(), 1):
        member(name, mode, data, number)
    member("TRAILER!!!", 0, b"", 0)
    return bytes(out)


def module_files(tree, names):
    """The .ko files for these modules and all they need, in load order.
    Those built into the kernel need none."""
    def key(path):
        return Path(path).name.split(".ko")[0].replace("-", "_")

    needs = {}
    for line in (tree / "modules.dep").read_text().splitlines():
        path, _, deps = line.partition(":")
        needs[key(path)] = (path, deps.split())
    builtin = {key(l) for l in (tree / "modules.builtin").read_text().splitlines()}
    order = []

    def visit(name):
        name = name.replace("-", "_")
        if name in builtin:
            return
        path, deps = needs[name]
        for dep in deps:
            visit(key(dep))
        if tree / path not in order:
            order.append(tree / path)

    for name in names:
        visit(name)
    return order


def build(kernel, busybox, modules, scripts, init, extra_modules=None):
    """An initrd with these modules of the kernel's, these of the lab's
    scripts in /lab, and further modules by name and content."""
    files = {d: (0o40755, b"") for d in
             ("bin", "dev", "proc", "sys", "root", "modules", "lab")}
    files["bin/busybox"] = (0o100755, busybox.read_bytes())
    files["init"] = (0o100755, (INSIDE / init).read_bytes())
    order = []
    for path in module_files(kernel.tree, modules):
        data = path.read_bytes()
        if path.suffix == ".xz":
            data = lzma.decompress(data)
        name = path.name.split(".ko")[0] + ".ko"
        files[f"modules/{name}"] = (0o100644, data)
        order.append(name)
    files["modules/order"] = (0o100644, "".join(f"{n}\n" for n in order).encode())
    for name, data in (extra_modules or {}).items():
        files[f"modules/{name}"] = (0o100644, data)
    for script in scripts:
        files[f"lab/{script}"] = (0o100755, (INSIDE / script).read_bytes())
    return gzip.compress(_cpio(files), 9, mtime=0)
