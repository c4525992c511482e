# What all generated inits share. Owns the way to a shell when something fails, the kernel's file
# systems, and the image's own records. Runs by dash, bash or busybox sh of the root.

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 022
# Words of the kernel's command line are never file name patterns.
set -f

say() { echo "init: $*" >&2; }

# rescue WHY: PID 1 must not end (the kernel would panic), so it becomes a shell.
rescue() {
	trap - EXIT
	say "$*"
	say 'here is a shell in its place; `exec PROGRAM` makes that program the init'
	cd /
	exec /bin/sh
}
trap 'rescue "the script ended with status $?"' EXIT
# bash alone ends without its trap when exec fails; so it shall go on to the next line.
[ -z "${BASH_VERSION-}" ] || shopt -s execfail

# mounted DIRECTORY
mounted() {
	[ -r /proc/mounts ] || return 1
	while read -r _ at _; do
		[ "$at" != "$1" ] || return 0
	done </proc/mounts
	return 1
}

# mount_kernel_fs TYPE DIRECTORY OPTIONS
mount_kernel_fs() {
	[ -d "$2" ] || mkdir -p "$2"
	mounted "$2" || mount -t "$1" -o "$3" "$1" "$2" || say "$1 cannot be mounted on $2"
}

# knows_fs TYPE: whether the kernel has that file system.
knows_fs() {
	while read -r one two; do
		[ "${two:-$one}" != "$1" ] || return 0
	done </proc/filesystems
	return 1
}

mount_kernel_file_systems() {
	mount_kernel_fs proc /proc nosuid,nodev,noexec
	mount_kernel_fs sysfs /sys nosuid,nodev,noexec
	# Without devtmpfs the image's own nodes do. With it, what only the image has must be made again.
	if [ -r /proc/filesystems ] && knows_fs devtmpfs; then
		mount_kernel_fs devtmpfs /dev nosuid,mode=755
	fi
	[ -d /dev/shm ] || mkdir -m 1777 /dev/shm
	if command -v ln >/dev/null; then
		[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
		[ -e /dev/stdin ] || ln -s /proc/self/fd/0 /dev/stdin
		[ -e /dev/stdout ] || ln -s /proc/self/fd/1 /dev/stdout
		[ -e /dev/stderr ] || ln -s /proc/self/fd/2 /dev/stderr
	fi
	# The number of the group tty is the root's own.
	group=
	if [ -r /etc/group ]; then
		while IFS=: read -r name _ number _; do
			[ "$name" != tty ] || group=,gid=$number
		done </etc/group
	fi
	mount_kernel_fs devpts /dev/pts "nosuid,noexec,mode=620$group"
}

# The kernel starts /init even if it could unpack only a part of the image. This file is the last.
check_image() {
	[ -s /.nfsroot-trace/complete ] ||
		say 'THIS IMAGE IS NOT WHOLE: the kernel could not unpack all of it, files are missing'
}

# What a cpio archive cannot hold, in the format of getfattr --dump.
restore_attributes() {
	[ -s /.nfsroot-trace/attributes ] || return 0
	if ! command -v setfattr >/dev/null; then
		say 'no setfattr here: capabilities and ACLs of /.nfsroot-trace/attributes are not set'
	elif ! (cd / && setfattr -h --restore=/.nfsroot-trace/attributes); then
		say 'not all of /.nfsroot-trace/attributes could be set (with root= on its command line the' \
			'kernel unpacks into ramfs, which has no attributes; rootfstype=tmpfs helps)'
	fi
}

# read_command_line: sets the variables below from /proc/cmdline. Of a word given twice the last
# counts, as for the kernel.
read_command_line() {
	init=/sbin/init root='' rootfstype='' rootflags='' nfsroot='' access=ro mode=''
	rootdelay='' rootwait=''
	line=
	[ ! -r /proc/cmdline ] || read -r line </proc/cmdline || :
	for word in $line; do
		case $word in
			--) break ;;
			# The kernel's line for an NFS root often says init=/init; that is this script.
			init=/init | init=) ;;
			init=*) init=${word#*=} ;;
			root=*) root=${word#*=} ;;
			rootfstype=*) rootfstype=${word#*=} ;;
			rootflags=*) rootflags=${word#*=} ;;
			nfsroot=*) nfsroot=${word#*=} ;;
			rootdelay=*) rootdelay=$word ;;
			rootwait | rootwait=*) rootwait=$word ;;
			ro | rw) access=$word ;;
			shell | rambox) mode=$word ;;
		esac
	done
}

# run_init ARGUMENT...: those that the kernel gave to this script.
run_init() {
	[ -e "$init" ] || rescue "$init is not in this image"
	[ -f "$init" ] && [ -x "$init" ] || rescue "$init is not an executable file"
	[ ! "$init" -ef /init ] || rescue "$init is this script; name another with init="
	trap 'rescue "$init cannot be started (status $?); does the image have what it needs?"' EXIT
	exec "$init" "$@"
	exit
}
