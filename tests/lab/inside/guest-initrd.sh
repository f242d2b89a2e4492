#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# A guest's initrd: find the read-only root and the run's payload, wherever
# this type of guest has them, and lay a tmpfs over the root.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for m in $(cat /modules/order); do insmod /modules/$m || echo "lab: insmod $m failed"; done
mkdir -p /ro /payload /rw /newroot
n=0
root= payload=
while [ -z "$root" ] || [ -z "$payload" ]; do
	for d in vda vdb xvdy xvdz; do
		[ -b /dev/$d ] || continue
		[ $d = "$root" ] || [ $d = "$payload" ] && continue
		if mount -t iso9660 -o ro /dev/$d /payload 2>/dev/null; then
			payload=$d
		elif mount -t squashfs -o ro /dev/$d /ro 2>/dev/null; then
			root=$d
		fi
	done
	sleep 0.1
	n=$((n+1))
	[ $n -gt 600 ] && { echo "lab: no root or payload: '$root' '$payload'" >/dev/kmsg; poweroff -f; }
done
mount -t tmpfs -o size=80% rw /rw
mkdir /rw/upper /rw/work
mount -t overlay -o lowerdir=/ro,upperdir=/rw/upper,workdir=/rw/work root /newroot
mkdir -p /newroot/lab/payload
cp /lab/* /newroot/lab/
mount --move /payload /newroot/lab/payload
mount --move /dev /newroot/dev
mount --move /proc /newroot/proc
mount --move /sys /newroot/sys
exec switch_root /newroot /lab/guest-init.sh
