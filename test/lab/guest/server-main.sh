#!/bin/sh
# First process of the lab's NFS server after its initramfs: network, tracefs, the roots, their
# exports, kernel NFS server, then the agent that takes orders from outside.
# Owns the server's set-up. Never exits, and collects whatever processes are left to it.
. /lab/lab.env
export PATH="$LAB_NODE_FOLDER:$LAB_REPOSITORY/scripts/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
export HOME=/root LANG=C.UTF-8
cd /
ulimit -n 65536
hostname nfs-server
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /var/lib/nfs
mkdir -p /var/lib/nfs/v4recovery /var/lib/nfs/rpc_pipefs /run/rpc_pipefs
touch /var/lib/nfs/etab /var/lib/nfs/rmtab
mount -t tracefs tracefs /sys/kernel/tracing
mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null

modprobe bridge
ip link set lo up
# An address of its own: without one a bridge takes the lowest of its ports', which changes when one
# comes or goes, and clients talk to the old one until they ask again, which takes up to minutes.
ip link add br0 address 52:54:00:77:00:01 type bridge
ip addr add "$LAB_SERVER_ADDRESS/24" dev br0
for address in $LAB_SERVER_ADDRESSES_6; do ip addr add "$address/64" dev br0 nodad; done
for nic in /sys/class/net/eth* /sys/class/net/en*; do
	[ -e "$nic" ] || continue
	ip link set "${nic##*/}" master br0 up
done
ip link set br0 up

mkdir -p /nfsroots
mount -t tmpfs -o mode=755 tmpfs /nfsroots

# The pseudo root cannot lie on an overlay, hence the tmpfs above.
cat >/etc/exports <<EXPORTS
/nfsroots *(fsid=0,crossmnt,ro,no_root_squash,no_subtree_check,insecure)
EXPORTS
set -- /dev/vd?
for root in $LAB_ROOTS; do
	mkdir -p "/nfsroots/$root"
	mount -t ext4 "$1" "/nfsroots/$root" || echo "lab: failed: no root $root"
	echo "/nfsroots/$root *(ro,no_root_squash,no_subtree_check,insecure)" >>/etc/exports
	shift
done
# rpc.mountd 2.6 crashes without it, and a minimal Debian has none.
[ -e /etc/mtab ] || ln -s /proc/mounts /etc/mtab
modprobe nfsd
mount -t nfsd nfsd /proc/fs/nfsd
# The user that Debian makes when rpcbind is installed, which it is not.
grep -q '^_rpc:' /etc/passwd || echo '_rpc:x:499:65534::/run/rpcbind:/usr/sbin/nologin' >>/etc/passwd
rpcbind -w || echo "lab: failed: rpcbind"
exportfs -ra
# Short lease and grace: nothing here has state from before, and a killed victim comes back at once.
rpc.nfsd -G 10 -L 10 8 || echo "lab: failed: rpc.nfsd"
rpc.mountd || echo "lab: failed: rpc.mountd"
echo "lab: server up at $(cut -d' ' -f1 /proc/uptime) s"

while :; do
	# A test may want another first process; it starts the agent itself.
	[ -x /lab/next-init ] && exec /lab/next-init
	(cd "${LAB_REPOSITORY:-/}" && exec "$LAB_NODE_FOLDER/node" /lab/agent.ts)
	echo "lab: agent ended with $?"
	sleep 1
done
