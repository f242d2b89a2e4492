#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What dom0-init.sh and guest-init.sh begin with, once they have a PATH.
export HOME=/root LC_ALL=C.UTF-8
ln -snf /proc/self/fd /dev/fd
for n in 0:stdin 1:stdout 2:stderr; do ln -snf /proc/self/fd/${n%:*} /dev/${n#*:}; done
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
