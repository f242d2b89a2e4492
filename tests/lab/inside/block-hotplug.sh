#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# dom0's hotplug script for block backends, in place of Xen's own: that one
# starts some forty processes for each disk, and on a busy build machine the
# toolstack's 40 seconds are over before the emulated dom0 is done with them.
[ "$1" = add ] || exit 0
path=$(xenstore-read "$XENBUS_PATH/params") || exit 1
device=$(stat -L -c %t:%T "$path") || {
	xenstore-write "$XENBUS_PATH/hotplug-error" "no device $path" \
		"$XENBUS_PATH/hotplug-status" error
	exit 1
}
exec xenstore-write "$XENBUS_PATH/physical-device" "$device" \
	"$XENBUS_PATH/physical-device-path" "$path" \
	"$XENBUS_PATH/hotplug-status" connected
