# SPDX-License-Identifier: GPL-2.0-only
"""Each check finds what it is there to find, in a small module that is wrong in just that way."""

import os
import shutil
import subprocess

import pytest

import checks
from conftest import ROOT, early

LINUX_SIDE = """
#include <linux/module.h>
int use(int number);
int use_twice(int number);
int use_twice(int number) { return use(number) + use(number + 1); }
EXPORT_SYMBOL_GPL(use_twice);
%(extra)s
MODULE_LICENSE("GPL");
"""
METADATA = 'MODULE_DESCRIPTION("test");\nMODULE_VERSION("1");\n'

# name: (check that must complain, C++ source, C source or None for the usual)
BAD = {
    "ctor": ("no_static_constructors", """
        struct Clock { int now; Clock(); };
        extern "C" int use(int number);
        Clock::Clock() : now(use(1)) {}
        static Clock clock_now;
        extern "C" int use(int number) { return number + clock_now.now; }""", None),
    "guard": ("no_cxx_runtime", """
        extern "C" int use(int number);
        extern "C" int use(int number) { static int first = number; return first; }""", None),
    "dtor": ("no_cxx_runtime", """
        extern "C" int use(int number);
        struct Owner { int value = 1; ~Owner() { use(value); } };
        static Owner owner;
        extern "C" int use(int number) { return number + owner.value; }""", None),
    "virtual": ("no_cxx_runtime", """
        struct Shape { virtual int area() const = 0; int side; protected: Shape(int s); ~Shape() = default; };
        Shape::Shape(int s) : side(s) { asm volatile("" :: "r"(this) : "memory"); }
        struct Square final : Shape { Square(int s) : Shape(s) {} int area() const override { return side * side; } };
        extern "C" int use(int number);
        extern "C" int use(int number) { Square s(number); asm volatile("" :: "r"(&s) : "memory"); return s.area(); }""",
                None),
    "mangled": ("no_mangled_exports", """
        int mangled(int number);
        int mangled(int number) { return number; }
        extern "C" int use(int number);
        extern "C" int use(int number) { return mangled(number); }""",
                "int _Z7mangledi(int number);\nEXPORT_SYMBOL_GPL(_Z7mangledi);"),
    "unversioned": ("exports_have_versions", """
        extern "C" int use(int number);
        extern "C" int use(int number) { return number; }""",
                    """asm(".section .text; .globl bare; bare: int3; .previous");
                    #ifndef __GENKSYMS__
                    extern char bare[];
                    EXPORT_SYMBOL_GPL(bare);
                    #endif"""),
    "weak": ("no_unresolved_weak", """
        extern "C" [[gnu::weak]] int nowhere(int number);
        extern "C" int use(int number);
        extern "C" int use(int number) { return nowhere ? nowhere(number) : number; }""", None),
    "bare_return": ("returns_are_patchable", """
        extern "C" int use(int number);
        extern "C" int use(int number) { if (number == 7) asm volatile("ret"); return number; }""", None),
    "indirect": ("indirect_branches_use_thunks", """
        extern "C" int use(int number);
        extern "C" int use(int number) { asm volatile("call *%%rax" : "+a"(number)); return number; }""", None),
    "sse": ("no_floating_point", """
        extern "C" int use(int number);
        extern "C" int use(int number) { asm volatile("pxor %xmm0, %xmm0"); return number; }""", None),
    "x87": ("no_floating_point", """
        extern "C" int use(int number);
        extern "C" int use(int number) { asm volatile("fninit; fldpi"); return number; }""", None),
    "got": ("relocations_are_loadable", """
        extern "C" char jiffies[];
        extern "C" int use(int number);
        extern "C" int use(int number) { void *at; asm volatile("movq jiffies@GOTPCREL(%%rip), %0" : "=r"(at));
            return at ? number : 0; }""", None),
    "anonymous": ("describes_itself", """
        extern "C" int use(int number);
        extern "C" int use(int number) { return number; }""", ""),
    "linux_in_cxx": ("languages_are_apart", """
        #include <linux/stat.h>
        extern "C" int use(int number);
        extern "C" int use(int number) { return number + S_IFREG; }""", None),
    "user_in_c": ("languages_are_apart", """
        extern "C" int use(int number);
        extern "C" int use(int number) { return number; }""",
                  '#include "/usr/include/xen/xen-compat.h"'),
}
GOOD = """
    #include <cstdint>
    #include <span>
    #include <type_traits>
    #include <xen/xen.h>
    template <typename T> [[gnu::noinline]] T twice(T value) { asm volatile(""); return value + value; }
    inline int calls = 0;
    extern "C" int use(int number);
    extern "C" int use(int number)
    {
        int values[] = { 1, 2, number };
        int sum = ++calls;
        for (int value : std::span(values))
            sum += twice(value);
        return sum;
    }"""


def sources():
    """Folder name to (C++, C)."""
    found = {"good": (GOOD, LINUX_SIDE % {"extra": METADATA}),
             "warned": (GOOD.replace("int sum =", "int unused; int sum ="), LINUX_SIDE % {"extra": METADATA})}
    for name, (_, cxx, extra) in BAD.items():
        metadata = "" if name == "anonymous" else METADATA
        # Each module exports a name of its own.
        found[name] = (cxx, LINUX_SIDE % {"extra": (extra or "") + "\n" + metadata})
    return {name: (cxx, c.replace("use_twice", f"use_twice_{name}")) for name, (cxx, c) in found.items()}


def make_target(target, directory, kernel, *arguments):
    result = subprocess.run(
        ["make", f"-j{os.cpu_count()}", "-k", "-C", kernel.directory, f"M={directory}", "W=1", "KBUILD_MODPOST_WARN=1",
         "CONFIG_DEBUG_INFO_BTF_MODULES=", *arguments, target],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return result.stdout


def write(directory, modules):
    """The sources of small modules that are built with the project's own rule."""
    (directory / "lib").mkdir(parents=True)
    for name in ("cxx.mk", "cxx-warnings.txt"):
        shutil.copy(ROOT / "lib" / name, directory / "lib" / name)
    (directory / "Kbuild").write_text("obj-m := " + " ".join(f"{name}/" for name in modules) + "\n")
    for name, (cxx, c) in modules.items():
        folder = directory / name
        folder.mkdir()
        (folder / "Kbuild").write_text(
            "include $(dir $(lastword $(MAKEFILE_LIST)))../lib/cxx.mk\n"
            f"obj-m := xpv_{name}.o\nxpv_{name}-y := $(xpv-objects)\n")
        (folder / f"{name}.cc").write_text("// SPDX-License-Identifier: GPL-2.0-only\n" + cxx + "\n")
        (folder / f"{name}_linux.c").write_text("// SPDX-License-Identifier: GPL-2.0-only\n" + c + "\n")


@early
def modules(directory, kernel):
    """The good and the bad modules, built: their folder, and the log."""
    write(directory, sources())
    return directory, make_target("modules", directory, kernel)


def complaints(modules, kernel, name):
    path = modules[0] / name / f"xpv_{name}.ko"
    assert path.exists(), modules[1]
    module = checks.Module(path, kernel)
    return {check.__name__: check(module) for check in checks.CHECKS if check(module)}


def test_good_module_passes(modules, kernel):
    assert complaints(modules, kernel, "good") == {}
    assert not [line for line in checks.log_complaints(modules[1]) if "/good" in line]


@pytest.mark.parametrize("name", BAD)
def test_bad_module_is_caught(modules, kernel, name):
    assert BAD[name][0] in complaints(modules, kernel, name)


def test_unlisted_return_is_caught(modules, kernel, tmp_path):
    """As if objtool had not been run."""
    if not kernel.has("RETHUNK", "MITIGATION_RETHUNK"):
        pytest.skip("this kernel has no return thunks")
    path = tmp_path / "xpv_good.ko"
    subprocess.run(["objcopy", "--remove-section=.return_sites", "--remove-section=.rela.return_sites",
                    modules[0] / "good/xpv_good.ko", path], check=True)
    assert checks.returns_are_patchable(checks.Module(path, kernel))


def test_foreign_kernel_is_caught(modules, kernel):
    module = checks.Module(modules[0] / "good/xpv_good.ko", kernel)
    other = checks.Kernel(kernel.directory)
    other.release = "6.6.6"
    assert checks.describes_itself(checks.Module(module.path, other))


def test_compiler_warning_is_caught(modules):
    assert any("/warned" in line and "-Wunused-variable" in line for line in checks.log_complaints(modules[1]))


def test_objtool_warning_is_caught(modules):
    assert any("bare_return" in line and "naked" in line for line in checks.log_complaints(modules[1]))


def test_modpost_warning_is_caught(modules):
    assert any("modpost" in line and "__cxa_atexit" in line for line in checks.log_complaints(modules[1]))


def test_dependencies_are_tracked(kernel, tmp_path):
    """A C++ object is compiled anew when a header or a flag has changed, and only then."""
    directory = tmp_path / "m"
    source = '#include "good/number.hh"\n' + GOOD.replace("++calls", "++calls + number_in_header")
    write(directory, {"good": (source, LINUX_SIDE % {"extra": METADATA})})
    assert "number.hh: No such file" in make_target("good/good.o", directory, kernel)
    header = directory / "good/number.hh"
    header.write_text("constexpr int number_in_header = 1;\n")

    def compiled(*arguments):
        log = make_target("good/good.o", directory, kernel, *arguments)
        return any(line.split()[:1] == ["CXX"] for line in log.splitlines())

    assert compiled()
    assert not compiled()
    header.write_text("constexpr int number_in_header = 2;\n")
    assert compiled()
    assert compiled("KCFLAGS=-O1")
    assert not compiled("KCFLAGS=-O1")
    (directory / "lib/cxx-warnings.txt").write_text("-Wall\n")
    assert compiled("KCFLAGS=-O1")
