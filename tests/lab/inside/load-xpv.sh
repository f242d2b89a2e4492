#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Load the xpv modules of the payload, each after those it depends on.
# Usage: load-xpv.sh [module=parameters]...
cd /lab/payload/modules || exit 1
while read -r module needs; do
	[ -d /sys/module/$module ] && continue
	parameters=
	for arg; do
		[ "${arg%%=*}" = "$module" ] && parameters=${arg#*=}
	done
	for need in $needs; do
		[ -d /sys/module/$need ] || modprobe $need || exit 1
	done
	insmod ./$module.ko $parameters || exit 1
done <order
# A courtesy. udev can lose its own client on the way ("Broken pipe"), which says nothing of the modules.
udevadm settle --timeout=30
exit 0
