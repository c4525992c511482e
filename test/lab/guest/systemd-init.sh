#!/bin/sh
# Makes the victim's systemd the first process of the lab's server, in a writable copy of the
# victim's tree, and keeps the agent outside of it. Owns that copy, /sd, with the product in it as the
# package would be: the unit, its user, a command in /usr/bin.
. /lab/lab.env
mkdir -p /sd
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/upper /mnt/work
mount -t overlay -o lowerdir=/nfsroots/sarge,upperdir=/mnt/upper,workdir=/mnt/work overlay /sd
for folder in proc sys dev lab nfsroots; do
	mkdir -p "/sd/$folder"
	mount --rbind "/$folder" "/sd/$folder"
done
mount -t tmpfs -o mode=755 tmpfs /sd/run
mkdir -p /sd/opt/node /sd/opt/product
mount --bind "$LAB_NODE_FOLDER" /sd/opt/node
mount --bind "$LAB_REPOSITORY" /sd/opt/product
printf '#!/bin/sh\nexec /opt/node/node /opt/product/dist/cli/bin.cjs "$@"\n' >/sd/usr/bin/nfsroot-trace
chmod 755 /sd/usr/bin/nfsroot-trace
mkdir -p /sd/var/lib/nfs
mount --bind /var/lib/nfs /sd/var/lib/nfs
cp "$LAB_REPOSITORY/scripts/nfsroot-trace.service" /sd/etc/systemd/system/
chroot /sd /bin/systemd-sysusers - <"$LAB_REPOSITORY/scripts/nfsroot-trace.sysusers"
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
