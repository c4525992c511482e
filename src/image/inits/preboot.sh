
# Brings up ATA-over-Ethernet and RAID as /config says, then does what the kernel would have done
# with root= and init=: it does nothing with them itself once an initramfs has an /init.

# number NAME VALUE: is it one?
number() {
	case $2 in
		'' | *[!0-9]*)
			say "/config: $1=$2 is not a number of seconds"
			return 1
			;;
	esac
}

# Read as words, never run: whoever writes the configuration does not write the script.
read_config() {
	modules='' interfaces='' link_settle=4 discover_settle=2
	if [ ! -r /config ]; then
		say 'no /config here: no modules, no interfaces'
		return
	fi
	while IFS= read -r line || [ -n "$line" ]; do
		value=${line#*=}
		case $value in
			\"*\") value=${value#\"} value=${value%\"} ;;
			\'*\') value=${value#\'} value=${value%\'} ;;
		esac
		case $line in
			'' | '#'*) ;;
			MODULES=*) modules=$value ;;
			AOE_IFACES=*) interfaces=$value ;;
			LINK_SETTLE=*) number LINK_SETTLE "$value" && link_settle=$value ;;
			DISCOVER_SETTLE=*) number DISCOVER_SETTLE "$value" && discover_settle=$value ;;
			*) say "/config: not understood: $line" ;;
		esac
	done </config
}

discover() {
	for one in /dev/etherd/discover /dev/aoe/discover; do
		if [ -e "$one" ]; then
			echo 1 >"$one" || say "$one cannot be written to"
			sleep "$discover_settle"
			return
		fi
	done
	say 'no /dev/etherd/discover: is aoe among MODULES= or in the kernel?'
}

mount_kernel_file_systems
check_image
restore_attributes
read_command_line
read_config
for one in $modules; do
	modprobe "$one" || say "module $one cannot be loaded"
done
for one in $interfaces; do
	ip link set dev "$one" up || say "interface $one cannot be brought up"
done
if [ -n "$interfaces" ]; then
	sleep "$link_settle"
	discover
fi
if [ -e /etc/mdadm.conf ] || [ -e /etc/mdadm/mdadm.conf ]; then
	mdadm -A -s || say 'mdadm could not assemble all arrays'
fi
mount_root
run_new_init "$@"
