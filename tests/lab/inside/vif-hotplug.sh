#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# dom0's hotplug script for network backends, short for the same reason as
# block-hotplug.sh. The lab has one bridge.
# shellcheck disable=SC2154  # vif and XENBUS_PATH come from the toolstack
case $1 in
online|add)
	ip link set "$vif" master xenbr0 up || exit 1
	[ "$1" = add ] || xenstore-write "$XENBUS_PATH/hotplug-status" connected
	;;
esac
