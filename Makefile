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
# make bench SUITE=primitives   count what xpv costs, against the kernel's own drivers; also: suspend, xenbus
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
folders	:= lib hypervisor evtchn gnttab xenbus blkfront suspend examples/echo tests/fake tests/kunit
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

.PHONY: modules modules_install all-kernels tree clean deps demo lab test fuzz soak bench
.DEFAULT_GOAL := modules
