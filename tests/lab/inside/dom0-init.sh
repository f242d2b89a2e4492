#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# dom0's first process: what a distribution's init would do for Xen, in the
# order that Xen's tools need, then the agent.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/xen-4.17/bin
. /lab/init-common.sh
mkdir -p /run/xen /run/xenstored /run/lock /run/lab /share /root /var/log/xen
rm -rf /var/run /var/lock
ln -s /run /var/run
ln -s /run/lock /var/lock
hostname dom0
for m in virtio_console xenfs xen-privcmd xen-evtchn xen-gntdev xen-gntalloc \
	 xen-blkback xen-netback bridge tun 9pnet_virtio 9p; do
	modprobe $m || echo "lab: no module $m"
done
modprobe loop
/lib/systemd/systemd-udevd --daemon
# Only what the lab needs: the nodes are there already, and each event costs.
udevadm trigger --type=devices --action=add --subsystem-match=block \
	--subsystem-match=misc \
	--subsystem-match=virtio-ports
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 lab /share || echo "lab: no share"
ip link set lo up
ip link add xenbr0 type bridge
ip addr add 10.77.0.1/16 dev xenbr0
ip link set xenbr0 up
cp /lab/block-hotplug.sh /etc/xen/scripts/block
cp /lab/vif-hotplug.sh /etc/xen/scripts/vif-bridge
mount -t xenfs xenfs /proc/xen
# Both daemons are in Debian's package; lab.xenstored= chooses.
store=$(sed -n 's/.*lab\.xenstored=\([^ ]*\).*/\1/p' /proc/cmdline)
"${store:-xenstored}"
until xenstore-exists /; do sleep 0.1; done
xen-init-dom0
# Four times a guest's share for each vCPU: what guests that keep all processors busy wait for is done here.
xl sched-credit2 -d 0 -w 1024
xenconsoled --log=all --log-dir=/var/log/xen
udevadm settle
echo "lab: dom0 is up"
while :; do
	for port in /dev/virtio-ports/xpv.agent /dev/vport*p1; do
		[ -c $port ] && python3 /lab/agent.py $port
	done
	sleep 1
done
