#!/bin/sh
# Runs in the lab's server: file systems of every kind in loop devices and memory, exported in every
# way, and two clients c3 and c4 in network namespaces. Owns what test/lab/export-kinds.ts names.
#   few   only one of each kind of handle
set -e

# disk KIND NAME: a new file system; prints its device. A file of its own: one that was mounted here
# before may still be written to.
disk() {
	rm -f "/img/$2"
	case $1 in
	ext4) truncate -s 8M "/img/$2" && mkfs.ext4 -q -F -O ^has_journal -N 128 "/img/$2" >&2 ;;
	xfs) truncate -s 300M "/img/$2" && mkfs.xfs -q -f "/img/$2" >&2 ;;
	btrfs) truncate -s 128M "/img/$2" && mkfs.btrfs -q -f "/img/$2" >/dev/null 2>&1 ;;
	esac
	losetup -f --show "/img/$2"
}
# fill DIR: two directories, files, a hard link in both, a symbolic link.
fill() {
	mkdir -p "$1/d1" "$1/d2"
	for file in d1/a d1/b d2/c d2/unused; do echo "$1 $file" >"$1/$file"; done
	ln "$1/d1/a" "$1/d2/a2"
	ln -s d1/b "$1/link"
}
# on KIND DIR: a new file system mounted there and filled.
on() {
	mkdir -p "$2"
	if [ "$1" = tmpfs ]; then
		mount -t tmpfs none "$2"
	else
		mount "$(disk "$1" "$(echo "$2" | tr / -)")" "$2"
	fi
	fill "$2"
}

# Sourced for its functions.
[ "${0##*/}" = exports-setup.sh ] || return 0

modprobe loop
mkdir -p /img
cd /nfsroots
on ext4 fsid
on tmpfs memory
on ext4 check
on xfs below
fill below/in
on btrfs top
btrfs subvolume create top/sub >/dev/null
fill top/sub

# All that is not among the few.
rest() {
	on ext4 uuid
	on xfs checkbelow
	fill checkbelow/in
	# A subvolume alone: the top level is mounted nowhere.
	mkdir -p /top subvol
	device=$(disk btrfs subvol)
	mount "$device" /top
	btrfs subvolume create /top/sub >/dev/null
	fill /top/sub
	mount -o subvol=sub "$device" subvol
	umount /top
	# Several file systems below one root.
	on ext4 cross
	on xfs cross/xfs
	on tmpfs cross/tmpfs
	on btrfs cross/btrfs
	on ext4 cross/btrfs/deep
	mkdir cross/bind cross/late
	mount --bind cross/d1 cross/bind
	# One file system, several roots; one a part of another.
	on ext4 shared
	for dir in one two two/inner; do fill shared/$dir; done
	# A directory that is mounted elsewhere and exported there too. Not one of a file system that is
	# exported by its UUID: mountd takes any mount of it below a crossmnt for it.
	mkdir bound
	mount --bind fsid/d1 bound
	for dir in twice first second; do on tmpfs $dir; done
	# A part of the fsid=0 export, reached from the NFSv4 root by look-ups alone.
	fill zero
	# Files of the lower layer, all but one that is copied up.
	on ext4 /lower
	mkdir -p /over overlay
	mount -t tmpfs none /over
	mkdir /over/upper /over/work
	mount -t overlay -o index=on,nfs_export=on,lowerdir=/lower,upperdir=/over/upper,workdir=/over/work none overlay
	echo more >>overlay/d2/c
	# Out of the reach of the pseudo root's crossmnt.
	mkdir -p /srv/plain
	on ext4 /srv/plain
	on ext4 /srv/plain/own
	on tmpfs /srv/plain/hidden
}
[ "$1" = few ] || rest

while read -r dir client; do [ ! -d "$dir" ] || echo "$dir $client"; done >/etc/exports <<EXPORTS
/nfsroots *(fsid=0,crossmnt,ro,no_root_squash,no_subtree_check,insecure)
/nfsroots/fsid *(fsid=11,rw,no_root_squash,no_subtree_check,insecure)
/nfsroots/uuid *(rw,no_root_squash,no_subtree_check,insecure)
/nfsroots/memory *(fsid=12,rw,no_root_squash,no_subtree_check,insecure)
/nfsroots/check *(rw,no_root_squash,subtree_check,insecure)
/nfsroots/below/in *(rw,no_root_squash,no_subtree_check,insecure)
/nfsroots/checkbelow/in *(rw,no_root_squash,subtree_check,insecure)
/nfsroots/top *(rw,no_root_squash,subtree_check,insecure)
/nfsroots/subvol *(rw,no_root_squash,subtree_check,insecure)
/nfsroots/cross *(rw,crossmnt,no_root_squash,no_subtree_check,insecure)
/nfsroots/shared/one *(rw,no_root_squash,no_subtree_check,insecure)
/nfsroots/shared/two *(rw,no_root_squash,no_subtree_check,insecure)
/nfsroots/bound *(fsid=13,rw,no_root_squash,no_subtree_check,insecure)
/nfsroots/twice 10.77.0.31(fsid=21,rw,no_root_squash,no_subtree_check,insecure)
/nfsroots/twice 10.77.0.32(fsid=22,rw,no_root_squash,subtree_check,insecure)
/nfsroots/first 10.77.0.31(fsid=30,rw,no_root_squash,no_subtree_check,insecure)
/nfsroots/second 10.77.0.32(fsid=30,rw,no_root_squash,no_subtree_check,insecure)
/nfsroots/overlay *(fsid=14,rw,no_root_squash,no_subtree_check,insecure)
/srv/plain *(rw,no_root_squash,no_subtree_check,insecure)
/srv/plain/own *(rw,nohide,no_root_squash,no_subtree_check,insecure)
EXPORTS
exportfs -ra

number=31
for client in c3 c4; do
	ip netns add $client
	ip link add v-$client type veth peer name eth0 netns $client
	ip link set v-$client master br0 up
	ip -n $client addr add 10.77.0.$number/24 dev eth0
	ip -n $client link set eth0 up
	ip -n $client link set lo up
	number=$((number + 1))
done
