# SPDX-License-Identifier: GPL-2.0-only
"""What must hold for every module that is built, beyond what the kernel's build checks itself.

Each check takes a Module and returns a list of complaints, empty if all is well.
"""

import functools
import os
import re
import subprocess
from pathlib import Path

os.environ["PATH"] += ":/usr/sbin:/sbin" # modinfo


def output(*command):
    return subprocess.check_output([str(part) for part in command], text=True)


class Kernel:
    """A kernel's build directory (what the headers package installs)."""

    def __init__(self, directory):
        self.directory = Path(directory)
        text = (self.directory / "include/generated/utsrelease.h").read_text()
        self.release = re.search(r'UTS_RELEASE "(.*)"', text)[1]
        self.config = set((self.directory / ".config").read_text().splitlines())

    def has(self, *options):
        return any(f"CONFIG_{option}=y" in self.config for option in options)


class Symbol:
    def __init__(self, fields):
        self.value, self.kind, self.binding, self.section, self.name = (
            int(fields[1], 16), fields[3], fields[4], fields[6], fields[7] if len(fields) > 7 else "")


class Instruction:
    def __init__(self, section, offset, mnemonic, operands):
        self.section, self.offset, self.mnemonic, self.operands = section, offset, mnemonic, operands
        self.relocations = []

    def __str__(self):
        return f"{self.section}+{self.offset:#x}: {self.mnemonic} {self.operands}".rstrip()


class Module:
    """A .ko file, read with binutils."""

    def __init__(self, path, kernel):
        self.path, self.kernel = Path(path), kernel

    @functools.cached_property
    def section_numbers(self):
        """Number (as text) to (name, size, flags)."""
        found = {}
        for line in output("readelf", "-SW", self.path).splitlines():
            match = re.match(r"\s*\[\s*(\d+)\] (\S+)\s+\S+\s+[0-9a-f]{16} [0-9a-f]+ ([0-9a-f]+) \S+\s+([A-Za-z]*)", line)
            if match:
                found[match[1]] = (match[2], int(match[3], 16), match[4])
        return found

    @functools.cached_property
    def sections(self):
        """Name to (size, flags)."""
        return {name: (size, flags) for name, size, flags in self.section_numbers.values()}

    @functools.cached_property
    def symbols(self):
        lines = output("readelf", "-sW", self.path).splitlines()
        return [Symbol(line.split()) for line in lines if re.match(r"\s*\d+: [0-9a-f]{16}", line)]

    @functools.cached_property
    def relocations(self):
        """List of (section, offset, type, value of the target's symbol, target with addend)."""
        found = []
        section = None
        for line in output("readelf", "-rW", self.path).splitlines():
            header = re.match(r"Relocation section '\.rela?(.*)' at", line)
            if header:
                section = header[1]
                continue
            match = re.match(r"([0-9a-f]{16})\s+[0-9a-f]{16}\s+(\S+)(?:\s+([0-9a-f]{16}))?\s*(.*)", line)
            if match:
                found.append((section, int(match[1], 16), match[2], int(match[3] or "0", 16), match[4]))
        return found

    @functools.cached_property
    def instructions(self):
        found = []
        section = None
        for line in output("objdump", "-drw", "--no-show-raw-insn", self.path).splitlines():
            header = re.match(r"Disassembly of section (.*):", line)
            if header:
                section = header[1]
                continue
            match = re.match(r"\s*([0-9a-f]+):\t(.*)", line)
            if not match or section is None:
                continue
            words = re.split(r"[\t#]", match[2])[0].split()
            while len(words) > 1 and words[0] in PREFIXES:
                words = words[1:]
            if not words:
                continue
            instruction = Instruction(section, int(match[1], 16), words[0], " ".join(words[1:]))
            instruction.relocations = re.findall(r"R_X86_64_\w+\t(\S+)", match[2])
            found.append(instruction)
        return found

    @functools.cached_property
    def information(self):
        found = {}
        for line in output("modinfo", self.path).splitlines():
            name, _, value = line.partition(":")
            found.setdefault(name, value.strip())
        return found


PREFIXES = {"bnd", "notrack", "cs", "ds", "es", "fs", "gs", "ss", "rep", "repz", "repnz", "lock", "data16"}
RETURN_THUNK = "__x86_return_thunk"


def no_static_constructors(module):
    """No code runs before module_init() or after module_exit(): there it could not fail, or be ordered."""
    found = [f"section {name}" for name, (size, _) in module.sections.items()
             if size and re.match(r"\.(preinit_array|init_array|fini_array|ctors|dtors)", name)]
    found += [f"symbol {symbol.name}" for symbol in module.symbols
              if re.match(r"_GLOBAL__(sub_)?[ID]_|_Z41__static_initialization", symbol.name)]
    return found


def no_cxx_runtime(module):
    """Neither guards of local statics nor anything of the C++ run-time library, which the kernel does not have."""
    return [f"symbol {symbol.name}" for symbol in module.symbols
            if re.match(r"_ZGV|__cxa_|__gxx_personality|_Unwind_|__dso_handle|_ZTI|_ZTS|_ZSt", symbol.name)
            and (symbol.section == "UND" or not symbol.name.startswith("_ZSt"))]


def no_mangled_exports(module):
    """Exports are C names with C prototypes, else modversions and other languages have nothing to hold on to."""
    return [f"export {symbol.name.removeprefix('__ksymtab_')}" for symbol in module.symbols
            if re.match(r"__ksymtab_(_Z|.*[^A-Za-z0-9_])", symbol.name)]


def exports_have_versions(module):
    """Each export has its CRC where the kernel uses modversions (0: genksyms did not see its prototype)."""
    if not module.kernel.has("MODVERSIONS"):
        return []
    names = [symbol.name.removeprefix("__ksymtab_") for symbol in module.symbols
             if symbol.name.startswith("__ksymtab_") and symbol.kind != "SECTION"]
    table = {}
    for folder in module.path.parents:
        if (folder / "Module.symvers").exists():
            for line in (folder / "Module.symvers").read_text().splitlines():
                fields = line.split("\t")
                table[fields[1]] = int(fields[0], 16)
            break
    return [f"export {name} without a version" for name in names if not table.get(name)]


def no_unresolved_weak(module):
    """The loader leaves an unresolved weak symbol at 0 without a word."""
    return [f"symbol {symbol.name}" for symbol in module.symbols
            if symbol.binding == "WEAK" and symbol.section == "UND"]


def returns_are_patchable(module):
    """With return thunks, each return jumps to the thunk and is in objtool's list, by which the kernel patches it.
    (Not a far return: no processor predicts those, and the kernel has no thunk for them.)"""
    if not module.kernel.has("RETHUNK", "MITIGATION_RETHUNK"):
        return []
    found = [f"bare return at {instruction}" for instruction in module.instructions
             if re.match(r"ret[qlw]?$", instruction.mnemonic)]
    places = {}
    for symbol in module.symbols:
        if symbol.section in module.section_numbers:
            places.setdefault((symbol.name, symbol.value), []).append(module.section_numbers[symbol.section][0])
    listed = set()
    for section, _, _, value, target in module.relocations:
        match = section == ".return_sites" and re.match(r"(\S+) \+ ([0-9a-f]+)$", target)
        if match:
            for place in places.get((match[1], value), [match[1]]):
                listed.add((place, value + int(match[2], 16)))
    for instruction in module.instructions:
        if any(relocation.startswith(RETURN_THUNK) for relocation in instruction.relocations):
            if (instruction.section, instruction.offset) not in listed:
                found.append(f"return that objtool has not listed at {instruction}")
    return found


def indirect_branches_use_thunks(module):
    """With retpolines, no indirect call or jump but through the thunks; pv_ops' the kernel makes direct at load."""
    if not module.kernel.has("RETPOLINE", "MITIGATION_RETPOLINE"):
        return []
    return [f"indirect branch at {instruction}" for instruction in module.instructions
            if re.match(r"(call|jmp|ljmp|lcall)[qlw]?$", instruction.mnemonic)
            and instruction.operands.startswith("*")
            and not any(relocation.startswith("pv_ops") for relocation in instruction.relocations)]


def no_floating_point(module):
    """The FPU's registers belong to user space."""
    return [f"at {instruction}" for instruction in module.instructions
            if re.search(r"%([xyz]mm\d|mm\d|st\b|k[0-7]\b)", instruction.operands)
            or re.match(r"f[a-z0-9]+$|v[a-z0-9]+mx|emms|v(add|mov|xor|mul)", instruction.mnemonic)
            and not re.match(r"vm|verr|verw", instruction.mnemonic)]


def relocations_are_loadable(module):
    """The loader knows these types only."""
    known = {f"R_X86_64_{kind}" for kind in ("NONE", "64", "32", "32S", "PC32", "PLT32", "PC64")}
    return [f"{kind} at {section}+{offset:#x} for {target}" for section, offset, kind, _, target in module.relocations
            if kind not in known and "A" in module.sections.get(section, (0, "A"))[1]]


def describes_itself(module):
    """modinfo shows license, description and version."""
    found = [f"no {name}" for name in ("license", "description", "version") if not module.information.get(name)]
    if module.information.get("license", "GPL") not in ("GPL", "GPL v2", "Dual MIT/GPL"):
        found.append(f"license {module.information['license']}")
    if module.kernel.release != module.information.get("vermagic", "").split(" ")[0]:
        found.append(f"built for {module.information.get('vermagic')}, not {module.kernel.release}")
    return found


def languages_are_apart(module):
    """C++ includes nothing of Linux, and Linux's C nothing of user space, where Xen's own headers are."""
    found = []
    for record in module.path.parent.rglob(".*.o.cmd"):
        text = record.read_text()
        source = re.search(r"^source_\S+ := (\S+)", text, re.M)
        if not source:
            continue
        headers = re.findall(r"^  (\S+) \\$", text, re.M)
        for header in headers:
            in_kernel = re.search(r"/linux-(headers|source|kbuild)-[^/]*/|^(\./)?(include|arch)/", header)
            of_linux = in_kernel or re.match(r"/usr/include/(x86_64-linux-gnu/)?(linux|asm|asm-generic)/", header)
            # The one that the compiler's own <limits.h>, a freestanding header, comes to.
            if header == "/usr/include/linux/limits.h":
                continue
            if source[1].endswith(".cc") and of_linux:
                found.append(f"{source[1]} includes {header}")
            if source[1].endswith(".c") and header.startswith("/usr/include/"):
                found.append(f"{source[1]} includes {header}")
    return found


CHECKS = [
    no_static_constructors, no_cxx_runtime, no_mangled_exports, exports_have_versions, no_unresolved_weak,
    returns_are_patchable, indirect_branches_use_thunks, no_floating_point, relocations_are_loadable,
    describes_itself, languages_are_apart,
]


def log_complaints(text):
    """The warnings and errors in a build's log: of the compiler, objtool and modpost."""
    return [line for line in text.splitlines()
            if re.search(r"\b(warning|error|WARNING|ERROR)\b:|objtool:|\[-W[a-z+-]+", line)
            and not line.startswith("Skipping BTF generation")]
