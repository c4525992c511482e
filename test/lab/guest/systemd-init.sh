#!/bin/sh
# Makes the victim's systemd the first process of the lab's server, in a writable copy of the
# victim's tree, and keeps the agent outside of it. Owns that copy, /sd, with what scripts/install has
# put below $LAB_INSTALLED in it, and what it would have told this machine.
. /lab/lab.env
. /lab/installed.env
mkdir -p /sd
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/upper /mnt/work
mount -t overlay -o lowerdir=/nfsroots/sarge,upperdir=/mnt/upper,workdir=/mnt/work overlay /sd
for folder in proc sys dev lab nfsroots; do
	mkdir -p "/sd/$folder"
	mount --rbind "/$folder" "/sd/$folder"
done
mount -t tmpfs -o mode=755 tmpfs /sd/run
mkdir -p /sd/opt/nfsroot-trace
mount --bind "$LAB_INSTALLED/opt/nfsroot-trace" /sd/opt/nfsroot-trace
mount --bind "$LAB_INSTALLED/usr/local" /sd/usr/local
mkdir -p /sd/var/lib/nfs
mount --bind /var/lib/nfs /sd/var/lib/nfs
chroot /sd /bin/systemd-sysusers nfsroot-trace.conf
cat >/sd/etc/systemd/system/bare.target <<UNIT
[Unit]
DefaultDependencies=no
UNIT
(
	cd "$LAB_REPOSITORY" || exit
	while :; do "$LAB_NODE_FOLDER/node" /lab/agent.ts; sleep 1; done
) &
exec chroot /sd /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=lab \
	/lib/systemd/systemd --unit=bare.target --log-target=console --show-status=no
