# SPDX-License-Identifier: GPL-2.0-only
"""One class writes PTEs, and cannot write the user bit: by the sources, and by the compiler."""

import re
import subprocess

import pytest

import sources
from conftest import ROOT


def test_sources_are_found():
    """Else all that follows says nothing."""
    found = [path for path, _ in sources.sources(ROOT)]
    assert sources.PTE_CODE | sources.RANGES | {"gnttab/frames.cc", "lib/shim_linux.c", "xenbus/xenbus.h"} <= set(found)
    assert not [path for path in found if path.startswith(("tests/", "build/"))]


def test_nobody_else_writes_page_tables():
    assert [place for path, text in sources.sources(ROOT) for place in sources.violations(path, text)] == []


def test_only_windows_include_the_pte_type():
    assert sources.includers(ROOT, "hypervisor/pte.hh") == {"hypervisor/window.cc"}


@pytest.mark.parametrize("line", [
    "set_pte(ptep, pte);",
    "set_pte_at(&init_mm, address, ptep, pte);",
    "\tnative_set_pte(entry, value);",
    "if (x) set_pmd(pmd, value);",
    "old = ptep_get_and_clear(&init_mm, address, ptep);",
    "ptep_test_and_clear_young(vma, address, ptep);",
    "pte_clear(&init_mm, address, ptep);",
    "pte_t *entry;",
    "pte = pte_offset_kernel(pmd, address);",
    "apply_to_page_range(&init_mm, address, size, change, NULL);",
    "window = vm_map_ram(pages, count, -1);",
    "void *at = ioremap(address, PAGE_SIZE);",
    "at = ioremap_cache(address, size);",
    "at = devm_ioremap(device, address, size);",
    "at = memremap(address, size, MEMREMAP_WB);",
    "at = vmap(pages, count, VM_MAP, PAGE_KERNEL);",
    "at = vmap_pfn(frames, count, prot);",
    "set_memory_rw(address, 1);",
    "remap_pfn_range(vma, address, pfn, size, prot);",
    "vm_insert_page(vma, address, page);",
    "entry = lookup_address(address, &level);",
    "xpv_hypercall(__HYPERVISOR_mmu_update, request, 1, 0, 0);",
    "HYPERVISOR_update_va_mapping(address, pte, UVMF_INVLPG);",
    "map.flags = GNTMAP_host_map | GNTMAP_contains_pte;",
    "map.flags = GNTMAP_host_map | GNTMAP_application_map;",
    "xpv::KernelPte pte(frame, access, mask);",
    "ignore(change_pte(*entry, from, to));",
    "to.swap_in(entry, found);",
    "*xpv_pte_lookup(address) = 0;",
    "uint64_t bits = _PAGE_USER;",
    "/* not this */ set_pte(ptep, pte); /* nor this */",
    'asm("call set_pte");',
    'pr_err("no /* comment"); set_pte(ptep, pte); /* but this */',
])
@pytest.mark.parametrize("path", ["gnttab/map.cc", "hypervisor/hypervisor_linux.c"])
def test_bad_line_is_caught(path, line):
    before = "/* SPDX-License-Identifier: GPL-2.0-only */\nint first;\n"
    assert [place.rsplit(":", 1)[0] for place in sources.violations(path, before + line + "\n")][:1] == [f"{path}:3"]


@pytest.mark.parametrize("line", [
    "/* set_pte() is for others. */",
    "// ptep_get_and_clear() too",
    "/*\n * ioremap()\n */",
    '#include "hypervisor/window.h"',
    "xpv_window_map(window, 0, frame, XPV_WINDOW_READ_WRITE);",
    "int vmapped = remapped(offset_pte);",
    'pr_err("https://example.org/*"); // "*/ set_pte(a, b);',
])
def test_good_line_passes(line):
    assert sources.violations("gnttab/map.cc", line + "\n") == []


@pytest.mark.parametrize("line", [
    "auto pte = std::bit_cast<KernelPte>(7ul);",
    "*reinterpret_cast<KernelPte *>(entry) = pte;",
    "write_once(entry, 0);",
    "exchange(entry, 0);",
    "set_pte(ptep, pte);",
])
@pytest.mark.parametrize("path", sorted(sources.PTE_CODE))
def test_bad_line_in_the_pte_code_is_caught(path, line):
    assert sources.violations(path, line + "\n")


# ---- What does not compile ----

SNIPPET = """
#include "hypervisor/pte.hh"
using namespace xpv;
[[maybe_unused]] static bool change(uint64_t &entry, Pfn frame)
{
    KernelPte pte(frame, XPV_WINDOW_READ_WRITE, ~0ul);
    FoundPte found = FoundPte::read(entry);
    %s
    return pte.is(found);
}
"""


def compile_snippet(statement):
    return subprocess.run(
        ["g++", "-std=gnu++20", "-ffreestanding", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}",
         "-x", "c++", "-"],
        input=SNIPPET % statement, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.parametrize("statement", [
    "return change_pte(entry, KernelPte(), pte);",
    "return pte.swap_in(entry, found);",
    "return found.user();",
    "pte = KernelPte();",
])
def test_good_use_compiles(statement):
    result = compile_snippet(statement)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("statement, message", [
    ("KernelPte raw(uint64_t{7});", "no matching function"),
    ("KernelPte raw{7};", "no matching function"),
    ("KernelPte raw = 7;", "conversion from"),
    ("pte = entry;", "no match for"),
    ("pte = found;", "no match for"),
    ("KernelPte copy(found);", "no matching function"),
    ("FoundPte made(uint64_t{7});", "is private"),
    ("pte.bits_ |= 4;", "is private"),
    ("pte.bits_ |= pte_bits::user;", "is private"),
    ("return found.swap_in(entry, found);", "has no member"),
    ("return change_pte(entry, pte, found);", "could not convert|cannot convert|invalid initialization"),
    ("return change_pte(entry, found, pte);", "could not convert|cannot convert|invalid initialization"),
    ("KernelPte swapped(XPV_WINDOW_READ_WRITE, frame, ~0ul);", "no matching function"),
    ("KernelPte other(Gfn{frame.value}, XPV_WINDOW_READ_WRITE, ~0ul);", "no matching function"),
    ("KernelPte user(frame, 4, ~0ul);", "invalid conversion"),
    ("change_pte(entry, KernelPte(), pte);", "nodiscard"),
])
def test_bad_use_does_not_compile(statement, message):
    result = compile_snippet(statement)
    assert result.returncode != 0
    assert re.search(message, result.stdout), result.stdout
