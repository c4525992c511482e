#!/bin/sh
# Makes a fresh Debian tree ($1) the root of a web server: its own start-up instead of Debian's long
# one, as for a stripped-down appliance. Runs on the host, never executes anything from the tree.
set -eu
cd "$1"
rm -rf var/cache/apt/archives var/lib/apt/lists
rm -f etc/rc2.d/[SK]* etc/rcS.d/[SK]*
ln -s ../init.d/app etc/rc2.d/S01app
ln -s ../init.d/nginx etc/rc2.d/S02nginx
# In the order of those names, without the tables that Debian's packages make of all scripts.
touch etc/init.d/.legacy-bootordering
ln -sf ../sites-available/app etc/nginx/sites-enabled/default
sed -i 's/^worker_processes .*/worker_processes 1;/' etc/nginx/nginx.conf
# A machine with a disk of its own finds it by these drivers.
echo 'MODULES="virtio_pci virtio_blk ext4"' >config
: >etc/hostname
