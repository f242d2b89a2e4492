# SPDX-License-Identifier: GPL-2.0-only
#
# C++ in Kbuild. Each folder's Kbuild includes this file; it gives them the
# rule that compiles *.cc, the list of a folder's objects, and, when the
# modules are built outside the kernel tree, the configuration that Kconfig
# would otherwise have written.

# The path of the folder that includes this file, and the project's root.
xpv-dir  := $(dir $(lastword $(filter-out %/cxx.mk,$(MAKEFILE_LIST))))
xpv-root := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))..)

# One folder is one module: its objects are all the sources in it and in its
# subfolders. Sources that only some configurations have are named before this
# file is included, as objects:
#
#   xpv-only-$(CONFIG_XPV_FOO) += foo.o
xpv-sources := $(foreach kind,cc c S,$(wildcard $(xpv-dir)*.$(kind) $(xpv-dir)*/*.$(kind)))
xpv-objects := $(filter-out $(xpv-only-) $(xpv-only-n),$(addsuffix .o,$(basename \
	       $(patsubst $(xpv-dir)%,%,$(filter-out %.mod.c,$(xpv-sources))))))

# Outside the kernel tree there is no .config for these options. All modules
# are built; "make CONFIG_XPV_BLKFRONT=n" leaves one out.
ifneq ($(KBUILD_EXTMOD),)
# The same dependency as in Kconfig. Without CONFIG_X86_64 no configuration was read.
ifeq ($(CONFIG_X86_64)$(CONFIG_SMP),y)
$(error xpv needs a kernel with CONFIG_SMP: per-CPU data is addressed by %gs)
endif
CONFIG_XPV		?= m
CONFIG_XPV_LIB		?= m
CONFIG_XPV_HYPERVISOR	?= m
CONFIG_XPV_EVTCHN	?= m
CONFIG_XPV_GNTTAB	?= m
CONFIG_XPV_XENBUS	?= m
CONFIG_XPV_BLKFRONT	?= m
# The same dependency as in Kconfig.
CONFIG_XPV_NETFRONT	?= $(if $(CONFIG_PAGE_POOL),m,n)
CONFIG_XPV_SUSPEND	?= m

# CONFIG_XPV_FAKE_HYPERVISOR=y replaces Xen by a fake one inside
# xpv_hypervisor, so that the KUnit suites run on any machine. C and C++ see
# the macro; in the kernel tree Kconfig defines it for C.
CONFIG_XPV_FAKE_HYPERVISOR ?= n

# The suites need a kernel that has KUnit, and the fake.
xpv-kunit := $(if $(CONFIG_KUNIT),$(if $(filter y,$(CONFIG_XPV_FAKE_HYPERVISOR)),m,n),n)
CONFIG_XPV_LIB_KUNIT_TEST	?= $(xpv-kunit)
CONFIG_XPV_PTE_KUNIT_TEST	?= $(xpv-kunit)
CONFIG_XPV_EVTCHN_KUNIT_TEST	?= $(xpv-kunit)
CONFIG_XPV_GNTTAB_KUNIT_TEST	?= $(xpv-kunit)
CONFIG_XPV_NODES_KUNIT_TEST	?= $(xpv-kunit)
CONFIG_XPV_XENBUS_KUNIT_TEST	?= $(xpv-kunit)
CONFIG_XPV_BLKFRONT_KUNIT_TEST	?= $(xpv-kunit)
# The same dependency as in Kconfig.
CONFIG_XPV_NETFRONT_KUNIT_TEST	?= $(if $(and $(filter m,$(CONFIG_XPV_NETFRONT)),$(CONFIG_INET),$(CONFIG_BQL),$(CONFIG_BPF_SYSCALL)),$(xpv-kunit),n)
CONFIG_XPV_CONTROL_KUNIT_TEST	?= $(xpv-kunit)
CONFIG_XPV_ECHO_KUNIT_TEST	?= $(xpv-kunit)
CONFIG_XPV_SUSPEND_KUNIT_TEST	?= $(xpv-kunit)

ccflags-$(CONFIG_XPV_FAKE_HYPERVISOR) += -DCONFIG_XPV_FAKE_HYPERVISOR=1
else
xpv-cxx-defines := $(if $(CONFIG_XPV_FAKE_HYPERVISOR),-DCONFIG_XPV_FAKE_HYPERVISOR=1)
endif

ccflags-y += -I$(xpv-root)
asflags-y += -I$(xpv-root)

# The kernel's choice of warnings is for its C; this one is for our C++, the
# same with and without W=1, and the same on the host.
xpv-cxx-warnings := $(shell sed 's/\#.*//' $(xpv-root)/lib/cxx-warnings.txt)

# Flags.
#
# _c_flags and modkern_cflags are what the kernel compiles this object with:
# code model, mitigations, tracing, sanitizers, KBUILD_CFLAGS_MODULE. C's
# dialect and warnings are removed from them, but not the switches that make
# warnings fatal or pass options to other tools. The kernel's include paths
# are not in them, so C++ cannot include a Linux header.
xpv-cxx-drop = -std=% $(filter-out -Wa$(comma)% -Wp$(comma)% -Wl$(comma)% -Werror -Wframe-larger-than=%, \
		$(filter -W%,$(_c_flags) $(modkern_cflags)))

# - freestanding, without the run-time support that the kernel does not have;
# - aligned-new: kmalloc() promises no more than 8;
# - no-gnu-unique: the module loader knows only local, global and weak.
xpv-cxx-dialect := -std=gnu++20 -ffreestanding -fno-exceptions -fno-rtti \
		   -fno-threadsafe-statics -fno-unwind-tables \
		   -fno-asynchronous-unwind-tables -faligned-new=8 \
		   -fno-gnu-unique -fvisibility=hidden -fvisibility-inlines-hidden

# A kernel that puts BTF into its modules makes it from their debug information
# with pahole, which gives up on C++'s. There C++ goes without, unless the
# build turns BTF off (as the project's Makefile does).
xpv-cxx-debug := $(if $(CONFIG_DEBUG_INFO_BTF_MODULES),-g0)

# -MD, where the kernel has -MMD: Xen's headers are a dependency too.
cxx_flags = -Wp,-MD,$(depfile) $(filter-out $(xpv-cxx-drop),$(_c_flags) $(modkern_cflags)) \
	    -x c++ $(xpv-cxx-dialect) $(xpv-cxx-debug) $(xpv-cxx-warnings) $(xpv-cxx-defines) \
	    $(basename_flags) $(modname_flags)

# Inline functions and templates come from the compiler in COMDAT groups, one
# section each, of which the linker keeps the first. But the tables that the
# compiler and objtool write for each function (__mcount_loc, .orc_unwind,
# .return_sites) are not in the groups and would point into discarded sections:
# the link fails. So the groups are dissolved and each object keeps its own
# copy of the functions, under a local name. Inline variables and virtual
# tables stay weak: they remain one object in the module.
cmd_xpv_degroup = ; $(NM) $@ | sed -n 's/.* W /--localize-symbol=/p' | \
	xargs $(OBJCOPY) --remove-section=.group $@

quiet_cmd_cxx_o_cc = CXX $(quiet_modtag) $@
      cmd_cxx_o_cc = $(CC) $(cxx_flags) -c -o $@ $< $(cmd_xpv_degroup) $(cmd_objtool)

define rule_cxx_o_cc
	$(call cmd_and_fixdep,cxx_o_cc)
	$(call cmd,gen_objtooldep)
endef

$(obj)/%.o: $(src)/%.cc FORCE
	$(call if_changed_rule,cxx_o_cc)
