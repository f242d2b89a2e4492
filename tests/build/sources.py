# SPDX-License-Identifier: GPL-2.0-only
"""Rules that hold for the project's sources: who may name what of page tables, and how addresses are printed.

hypervisor/window.cc, over hypervisor/pte.hh, is the only code that writes a
PTE, and only by compare-and-swap. Whatever else in Linux or Xen changes page
tables, or maps frames by doing so, has no place here.
"""

import re
from pathlib import Path

SUFFIXES = {".c", ".cc", ".h", ".hh", ".S"}
# Tests are there to interfere; what is built is a copy.
NOT_OURS = {"tests", "build", ".git"}

PTE_CODE = {"hypervisor/pte.hh", "hypervisor/window.cc"}
RANGES = {"hypervisor/address_range_linux.c"}
RANGES_AND_THEIR_USER = RANGES | {"hypervisor/linux.h", "hypervisor/window.cc"}

# (what must not be named, but in these files)
RULES = [
    # Stores to page tables, Linux's way.
    (r"(native_|xen_|__)?set_p(te|md|ud|4d|gd)(_\w+)?", set()),
    (r"(native_|xen_|__)?p(te|md|ud|4d|gd)p_\w+", set()),
    (r"(native_|xen_)?p(te|md|ud|4d|gd)_(clear|populate\w*|alloc\w*|free\w*|offset\w*|mk\w+|modify|wr\w+)", set()),
    (r"(native_make_|__)pte|pfn_pte|mk_pte|pte_t", RANGES),
    # Mappings that Linux makes, with PTEs that are then nobody's.
    (r"apply_to_(existing_)?page_range", set()),
    (r"(vm_map_ram|vm_unmap_ram|vmap_pfn|vmap_range\w*|vmap_pages_range\w*|vm_area_map_pages|map_kernel_range\w*|"
     r"map_vm_area|alloc_vm_area)", set()),
    (r"(devm_)?(ioremap|memremap)\w*|iounmap|memunmap", set()),
    (r"(io_remap_pfn_range|vm_insert_(pages|mixed)|vmf_insert_\w+)", set()),
    # User space's own page tables, which Linux writes: pages that it granted, and frames that others granted it.
    (r"vm_insert_page", {"gnttab/gntalloc_linux.c"}),
    (r"remap_pfn_range", {"gnttab/gntdev_linux.c"}),
    (r"set_memory_\w+|change_page_attr\w*|cpa_\w+", set()),
    (r"vmap|vunmap|get_vm_area\w*|free_vm_area", RANGES),
    # Stores to page tables, Xen's way.
    (r"__HYPERVISOR_(mmu_update|mmuext_op|update_va_mapping\w*)|HYPERVISOR_(mmu_update|update_va_mapping\w*)", set()),
    (r"MMU_(NORMAL_PT_UPDATE|PT_UPDATE_\w+)|UVMF_\w+", set()),
    # A PV guest's mapped grant: Xen itself writes the PTE, and refuses the guest to. This flag asks it to; the other
    # would be the user bit.
    (r"GNTMAP_contains_pte", {"gnttab/foreign.hh"}),
    (r"GNTMAP_application_map", set()),
    # Our own way.
    (r"lookup_address\w*", RANGES),
    (r"(struct )?xpv_pte|xpv_pte_lookup", RANGES_AND_THEIR_USER),
    (r"xpv_address_range\w*", RANGES_AND_THEIR_USER),
    (r"KernelPte|FoundPte|change_pte|swap_in|pte_bits", PTE_CODE),
    (r"_PAGE_\w+|PAGE_KERNEL\w*", RANGES),
]
# What even the two files that may handle PTEs must not do: make one of raw bits, or store one without comparing.
PTE_CODE_RULES = [
    r"(bit_cast|reinterpret_cast|static_cast|const_cast)\s*<[^>]*(KernelPte|FoundPte)",
    r"memcpy|memset|write_once|store_release|\bexchange\s*\(|fetch_\w+|set_bit|clear_bit",
    r"\basm\b",
]


def without_comments(text):
    """The code, in the same lines. String literals stay: they may be in an asm."""
    def blank(match):
        return match[0] if match[0][0] == '"' else re.sub(r"[^\n]", " ", match[0])
    return re.sub(r'"(\\.|[^"\\\n])*"|/\*.*?\*/|//[^\n]*', blank, text, flags=re.S)


def violations(path, text):
    """The places in a source, given by its path in the project, that break a rule."""
    rules = [rf"(?<!\w)({pattern})(?!\w)" for pattern, allowed in RULES if path not in allowed]
    if path in PTE_CODE:
        rules += PTE_CODE_RULES
    code = without_comments(text)
    # One file names another to include it; that is no use of what the name says.
    code = re.sub(r'(#\s*include\s*)["<][^">\n]*[">]', r"\1", code)
    found = []
    for number, line in enumerate(code.splitlines(), 1):
        for rule in rules:
            match = re.search(rule, line)
            if match:
                found.append(f"{path}:{number}: {match[0]}")
    return found


# %pK: as kernel.kptr_restrict permits; symbols; errors; a format within the format. A bare %p is hashed, but prints
# (efault) or an error's number for some values, and the raw address with no_hash_pointers.
ADDRESS_FORMAT = re.compile(r"%[-#0-9.*]*p(?![KSseV])\w*")


def printed_addresses(path, text):
    """The places that print a kernel address, but by what hides it where the administrator wants that."""
    return [f"{path}:{number}: {match[0]}" for number, line in enumerate(without_comments(text).splitlines(), 1)
            for match in ADDRESS_FORMAT.finditer(line)]


def includers(root, header):
    """The sources that include a header."""
    return {path for path, text in sources(root) if re.search(rf'#\s*include\s*"{re.escape(header)}"', text)}


def sources(root):
    """(path in the project, text) of all that goes into a module."""
    root = Path(root)
    # What is not ours is not even listed: builds may be at work there.
    for place in sorted(root.iterdir()):
        if place.name in NOT_OURS:
            continue
        for file in [place] if place.is_file() else sorted(place.rglob("*")):
            if file.suffix in SUFFIXES and not file.name.endswith(".mod.c"):
                yield file.relative_to(root).as_posix(), file.read_text()
