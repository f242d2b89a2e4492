#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A guest's first process. The agent's device is lab.agent= on the kernel's
# command line: the console, or in an HVM guest one that needs no PV driver.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
. /lab/init-common.sh
mount -t tmpfs tmpfs /tmp
mount -t debugfs debugfs /sys/kernel/debug
mkdir -p /run/lock /root
# What the kernel runs when it is asked, from outside, to power off or reboot.
for action in poweroff reboot; do
	printf "%s\n" "#!/bin/sh" "echo '<4>lab: init: $action' >/dev/kmsg" "sync" "exec busybox $action -f" >/usr/sbin/$action
	chmod 755 /usr/sbin/$action
done
hostname guest
ip link set lo up
/lib/systemd/systemd-udevd --daemon
# Only what the lab needs: the nodes are there already, and each event costs.
udevadm trigger --type=devices --action=add --subsystem-match=block \
	--subsystem-match=misc \
	--subsystem-match=net \
	--subsystem-match=virtio-ports \
	--subsystem-match=xen
udevadm settle --timeout=60
modprobe -q virtio_console
agent=$(sed -n 's/.*lab\.agent=\([^ ]*\).*/\1/p' /proc/cmdline)
# On the agent's own console the kernel speaks only when it dies; the lab
# reads the rest by dmesg.
case $agent in hvc*) dmesg -n 1 ;; esac
# See AS_LOAD in guest.py.
while :; do
	[ -c /dev/$agent ] && nice -n -10 python3 /lab/agent.py /dev/$agent
	sleep 1
done
