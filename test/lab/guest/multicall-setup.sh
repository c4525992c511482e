#!/bin/sh
# Makes an almost empty tree ($1) a root of one program: the machine's static busybox, its names in
# /bin as hard links, those in /sbin and /usr as symbolic ones.
set -eu
cd "$1"
mkdir -p bin sbin usr/bin usr/sbin dev proc sys tmp run root
cp /bin/busybox bin/busybox
for name in $(busybox --list-full); do
	case $name in
		bin/busybox) ;;
		bin/*) ln bin/busybox "$name" ;;
		sbin/*) ln -s ../bin/busybox "$name" ;;
		usr/*) ln -s ../../bin/busybox "$name" ;;
	esac
done
ln -s sbin/init init
mknod -m 600 dev/console c 5 1
mknod -m 666 dev/null c 1 3
# A machine without a disk of its own finds one by ATA over Ethernet.
printf 'MODULES="virtio_pci virtio_net aoe ext4"\nAOE_IFACES=eth0\nLINK_SETTLE=1\n' >config
