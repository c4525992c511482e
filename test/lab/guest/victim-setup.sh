#!/bin/sh
# Makes a fresh Debian tree ($1) the victim's root: what a diskless, read-only root needs, and less
# of what only costs time in emulation. Runs on the host, never executes anything from the tree.
set -eu
sh "$(dirname "$0")/odd-names.sh" "$1/srv/odd"
cd "$1"
rm -rf var/cache/apt/archives var/lib/apt/lists
mkdir -p var/cache/apt/archives/partial var/lib/apt/lists/partial
ln -sf /etc/systemd/system/lab.target etc/systemd/system/default.target
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
	e2scrub_reap.service fstrim.timer systemd-tmpfiles-clean.timer getty@tty1.service getty-static.service \
	serial-getty@ttyS0.service systemd-random-seed.service systemd-update-utmp.service \
	systemd-update-utmp-runlevel.service systemd-pstore.service; do
	ln -sf /dev/null "etc/systemd/system/$unit"
done
echo 0123456789abcdef0123456789abcdef >etc/machine-id
: >etc/hostname
# Nothing is to be done again because /etc or /var looks older than /usr.
touch -r usr etc/.updated var/.updated
