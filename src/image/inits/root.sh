
# Mounting root= and going there, for the inits that do.

NEW_ROOT=/newroot

# mount_root: mounts what the command line names on $NEW_ROOT.
mount_root() {
	[ -n "$root" ] || [ -z "$nfsroot" ] || root=/dev/nfs
	[ -n "$root" ] || rescue "no root= on the kernel's command line"
	mkdir -p "$NEW_ROOT" || rescue "$NEW_ROOT cannot be made"
	case $root in
		/dev/nfs | nfs) mount_nfs ;;
		*) mount_device ;;
	esac
}

# nfsroot=[SERVER:]DIRECTORY[,OPTIONS], as Documentation/admin-guide/nfs/nfsroot.rst has it.
mount_nfs() {
	from=${nfsroot%%,*}
	options=${nfsroot#"$from"}
	server=
	case $from in
		*:*) server=${from%%:*} from=${from#*:} ;;
	esac
	[ -n "$from" ] || rescue 'nfsroot= names no directory: nfsroot=SERVER:DIRECTORY'
	case $from in
		*%s*) put_host_name ;;
	esac
	if [ -z "$server" ] && [ -r /proc/net/pnp ]; then
		# What ip=dhcp learned.
		while read -r word value _; do
			[ "$word" != bootserver ] || server=$value
		done </proc/net/pnp
	fi
	[ -n "$server" ] || rescue 'nfsroot= names no server, and ip= brought none'
	# By the kernel alone (-i), as it mounts its own NFS root: mount.nfs is not in every root, and
	# addr= is what it would look up. NFSv3 unless the options have vers=; without proto= the kernel
	# would ask mountd by UDP, which many servers do not answer.
	mount -i -t nfs -o "$access,nolock,proto=tcp,addr=$server$options" "$server:$from" "$NEW_ROOT" ||
		rescue "$server:$from cannot be mounted: is the network up (ip=, a driver in the kernel), is it exported?"
}

# put_host_name: for %s in $from. The kernel's own is its host name, which ip= sets: to the client's
# address if neither it nor DHCP has a name.
put_host_name() {
	name=
	[ ! -r /proc/sys/kernel/hostname ] || read -r name </proc/sys/kernel/hostname || :
	case $name in
		'' | '(none)') rescue "nfsroot= has %s, but the kernel has no address or host name by ip=" ;;
	esac
	from=${from%%"%s"*}$name${from#*"%s"}
}

# Devices come up while this runs. rootwait is without end, as for the kernel.
set_wait() {
	left=10
	for word in $rootdelay $rootwait; do
		case ${word#*=} in
			rootwait) left=forever ;;
			# Shells disagree on 08, and on what is too large.
			'' | *[!0-9]* | 0?* | ??????*) say "$word is not a number of seconds" ;;
			*) left=${word#*=} ;;
		esac
	done
}

wait_a_second() {
	sleep 1
	[ "$left" = forever ] || left=$((left - 1))
}

mount_device() {
	set_wait
	if [ -n "$rootfstype" ]; then set -- -t "$rootfstype"; else set --; fi
	set -- "$@" -o "$access${rootflags:+,$rootflags}" "$root" "$NEW_ROOT"
	case $root in
		/*)
			until [ -b "$root" ] || [ "$left" = 0 ]; do
				wait_a_second
			done
			[ -b "$root" ] || rescue "$root (root=) is not there as a block device; is its driver in the kernel?"
			;;
		*=*)
			# UUID= and the like: only mount knows which device it is. Each of its reasons is told once.
			said=
			until [ "$left" = 0 ]; do
				why=$(mount "$@" 2>&1) && return
				case $why in
					*"can't find"* | *'No such file'*) ;;
					# It is there, and no wait makes it one that can be mounted.
					*) break ;;
				esac
				[ "$why" = "$said" ] || say "waiting for $root: $why"
				said=$why
				wait_a_second
			done
			;;
	esac
	mount "$@" || rescue "$root (root=) cannot be mounted${rootfstype:+ as $rootfstype}"
}

# real_init: where $init leads within the new root, whose absolute links start there.
real_init() {
	real='' rest=$init left=40
	while [ -n "$rest" ]; do
		part=${rest%%/*}
		case $rest in
			*/*) rest=${rest#*/} ;;
			*) rest= ;;
		esac
		case $part in
			'' | .) continue ;;
			..)
				real=${real%/*}
				continue
				;;
		esac
		if [ -L "$NEW_ROOT$real/$part" ] && [ "$left" -gt 0 ] &&
			to=$(readlink "$NEW_ROOT$real/$part"); then
			left=$((left - 1)) rest=$to/$rest
			case $to in
				/*) real= ;;
			esac
		else
			real=$real/$part
		fi
	done
}

# run_new_init ARGUMENT...: those that the kernel gave to this script.
run_new_init() {
	real_init
	[ -f "$NEW_ROOT$real" ] && [ -x "$NEW_ROOT$real" ] ||
		rescue "$root has no executable $init; it is mounted on $NEW_ROOT"
	# Before /proc, which tells what is mounted.
	for one in dev sys proc; do
		if mounted "/$one" && [ -d "$NEW_ROOT/$one" ]; then
			mount -o move "/$one" "$NEW_ROOT/$one" || say "/$one stays behind"
		fi
	done
	trap 'rescue "switch_root to $init failed (status $?); the new root is on $NEW_ROOT"' EXIT
	exec switch_root "$NEW_ROOT" "$init" "$@"
	exit
}
