#!/bin/sh
# Makes a fresh Debian tree with an unmerged /usr ($1) a root that busybox starts. Runs on the host,
# never executes anything from the tree.
set -eu
cd "$1"
for folder in bin sbin lib; do
	[ ! -L "$folder" ] || { echo "/usr of this Debian is merged: $folder is a link" >&2; exit 1; }
done
rm -rf var/cache/apt/archives var/lib/apt/lists
for name in sbin/init sbin/ip; do ln -s ../bin/busybox "$name"; done
mkdir -p etc/dropbear
mkdir -p -m 700 root/.ssh
: >etc/hostname
# A machine with a disk of its own finds it by these drivers.
echo 'MODULES="virtio_pci virtio_blk ext4"' >config
