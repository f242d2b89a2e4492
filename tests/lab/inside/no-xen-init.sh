#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# Load xpv on a machine without Xen, and say what came of it.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
insmod /modules/xpv_lib.ko
error=$(insmod /modules/xpv_hypervisor.ko 2>&1)
echo "insmod status $?: ${error##*: }"
echo "loaded: $(awk '{printf "%s ", $1}' /proc/modules | sed 's/ $//')"
dmesg | grep xpv
poweroff -f
