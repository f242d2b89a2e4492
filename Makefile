# SPDX-License-Identifier: GPL-2.0-only
#
# make                          build the modules for the running kernel
# make KVER=6.1.0-56-amd64      ... for another installed kernel
# make KDIR=/path/to/build      ... for a kernel build directory
# make all-kernels              ... for every installed 6.1 and 6.12 headers package
# make modules_install          install what make built (INSTALL_MOD_PATH as in the kernel)
# make clean
# make deps                     install what all this needs (Debian 12, as root)
# make demo                     boot real Xen and use a disk through xpv
# make test                     run all tests; make test SUITE=host one suite
# make fuzz SECONDS=600         fuzz the store client on this machine (default 60 seconds)
# make soak MINUTES=60          suspend one guest 300 times under load; goes on where it stopped
# make bench SUITE=primitives   count what xpv costs, against the kernel's own drivers; also: suspend, xenbus, net
# make lab                      a shell in dom0 of real Xen, with a guest that runs xpv
# make format                   lay out all C and C++ by .clang-format
# make lint                     check layout, common faults, scripts, licenses and commit subjects
# make compile_commands         write compile_commands.json, for clangd and other tools
# make help                     show this list
#
# make CONFIG_XPV_BLKFRONT=n    leaves a module out; the names are Kconfig's
#
# The modules appear in build/<kernel release>/<folder>/xpv_<folder>.ko; builds
# for different kernels do not disturb each other.
#
# (In the kernel's own tree, Kbuild and Kconfig are used, and this file is not.)

KVER	?= $(shell uname -r)
KDIR	?= /lib/modules/$(KVER)/build

# Kbuild writes next to the sources. So that it can build for several kernels,
# each gets a tree of links to the sources, in its own directory.
root	:= $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
release	 = $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' $(KDIR)/include/generated/utsrelease.h 2>/dev/null)
BUILD	?= $(root)/build/$(release)
folders	:= lib hypervisor evtchn gnttab xenbus xenbus/store xenbus/bus xenbus/node blkfront netfront suspend \
	   examples/echo tests/fake tests/kunit
kernels	 = $(wildcard /usr/src/linux-headers-6.1.*-amd64 /usr/src/linux-headers-6.12.*-amd64)

# W=1: the kernel's extra warnings, the level at which this project has none.
# BTF is off because pahole cannot encode C++; see lib/cxx.mk.
kbuild	 = $(MAKE) -C $(KDIR) M=$(BUILD) W=1 CONFIG_DEBUG_INFO_BTF_MODULES=

modules: tree
	+$(kbuild) modules

modules_install:
	+$(kbuild) modules_install

all-kernels:
	+@set -e; for kernel in $(kernels); do \
		echo "== $$kernel"; $(MAKE) modules KDIR=$$kernel; done

tree:
	@test -n "$(release)" || { \
		echo "No kernel build directory at $(KDIR): install the kernel's headers, or set KVER or KDIR."; exit 1; }
	@cd $(root) && mkdir -p $(addprefix $(BUILD)/,$(folders)) && \
	find Kbuild $(folders) -maxdepth 1 -type f \( -name Kbuild -o -name '*.mk' -o -name '*.txt' -o \
		-name '*.c' -o -name '*.cc' -o -name '*.S' -o -name '*.h' -o -name '*.hh' \) | \
	while read -r file; do \
		test -L "$(BUILD)/$$file" || ln -s "$(root)/$$file" "$(BUILD)/$$file"; \
	done && find $(BUILD) -xtype l -delete

clean:
	rm -rf $(root)/build

deps:
	@$(root)/tests/deps

demo: deps
	+@$(MAKE) --no-print-directory all-kernels
	@$(root)/tests/lab/demo --modules=$(root)/build

lab: deps
	+@$(MAKE) --no-print-directory all-kernels
	@$(root)/tests/lab/lab shell --drivers=xpv --modules=$(root)/build

test: deps
	@$(root)/tests/run $(SUITE)

SECONDS	?= 60
fuzz: deps
	@$(root)/tests/fuzz/run $(SECONDS)

MINUTES	?= 0
soak: deps
	+@$(MAKE) --no-print-directory all-kernels
	@$(root)/tests/lab/soak --modules=$(root)/build --minutes=$(MINUTES) $(SOAK)

bench: deps
	+@$(MAKE) --no-print-directory all-kernels
	@$(root)/tests/bench/run.py $(SUITE)

# The macros of trace events have a layout of their own.
format:
	@cd $(root) && git ls-files -z '*.c' '*.cc' '*.h' '*.hh' ':!*/trace.h' | xargs -0 clang-format -i

lint: deps
	@$(root)/tests/run lint

compile_commands: modules
	@cmake -G Ninja -S $(root)/tests/host -B $(root)/build/host >/dev/null
	@$(root)/tests/tools/compile-commands $(root)/build/host/compile_commands.json $(BUILD) $(KDIR)

help:
	@sed -n '3,/^$$/s/^# \{0,1\}//p' $(root)/Makefile

.PHONY: modules modules_install all-kernels tree clean deps demo lab test fuzz soak bench \
	format lint compile_commands help
.DEFAULT_GOAL := modules
