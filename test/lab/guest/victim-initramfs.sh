#!/bin/sh
# First program of a diskless victim: brings up its one network card, mounts its root over NFS,
# and goes there. What to mount comes from the kernel command line (lab.* words).
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for word in $(cat /proc/cmdline); do
	case "$word" in
	lab.*=*)
		key=${word%%=*}
		eval "lab_${key#lab.}=\${word#*=}"
		;;
	esac
done
for module in virtio_pci virtio_net virtio_rng nfs nfsv3 nfsv4; do modprobe "$module"; done
hostname "$lab_hostname"
ip link set lo up
nic=
while [ -z "$nic" ]; do
	nic=$(ls /sys/class/net | grep -v '^lo$' | head -n 1)
done
ip link set "$nic" up
ip addr add "$lab_address/24" dev "$nic"
echo "lab: mounting $lab_server:$lab_root by NFSv$lab_vers"
# Attribute caching stays at its default: the lab is to see what a usual client does.
until mount -i -t nfs -o "ro,nolock,proto=tcp,vers=$lab_vers,addr=$lab_server,clientaddr=$lab_address" \
	"$lab_server:$lab_root" /root; do
	echo "lab: mount failed, again"
	sleep 1
done
if [ -n "$lab_brief" ]; then
	# Not a whole boot: what begins one.
	cat /root/init /root/etc/hostname >/dev/null
	echo "lab: read init at $(date +%Y)"
	# The next kernel is told the same, but not to do so again.
	[ "$lab_then" != kexec ] ||
		chroot /root perl /boot/lab-kexec "$(sed 's/lab.then=kexec//' /proc/cmdline)"
	sleep 3600
fi
umount /dev /sys /proc
exec switch_root /root "${lab_init:-/init}"
