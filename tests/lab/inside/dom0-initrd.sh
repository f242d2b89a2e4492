#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# dom0's initrd: find the disk, put the lab's scripts on it, go.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for m in $(cat /modules/order); do insmod /modules/$m || echo "lab: insmod $m failed"; done
n=0
while ! [ -b /dev/vda ]; do sleep 0.1; n=$((n+1)); [ $n -gt 300 ] && { echo "lab: no disk"; poweroff -f; }; done
mount -t ext4 -o noatime /dev/vda /root || { echo "lab: no root"; poweroff -f; }
cp /lab/* /root/lab/
mount --move /dev /root/dev
mount --move /proc /root/proc
mount --move /sys /root/sys
exec switch_root /root /lab/dom0-init.sh
