#!/bin/sh
# First program of the lab's NFS server: lays a writable memory over the host's own root (9p,
# read-only) and over the server tools, and goes there. Owns nothing after that.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in virtio_pci virtio_net virtio_blk virtio_console virtio_rng 9pnet_virtio 9p overlay ext4; do
	modprobe "$module" || echo "lab: failed: modprobe $module failed"
done
# Older kernels' ext4 asks for it by a name that busybox does not know; newer ones have it built in.
modprobe crc32c_generic 2>/dev/null
# Up to 6.0 each request, however small, takes two buffers of this size.
msize=524288
case $(uname -r) in 5.*) msize=32768 ;; esac
mkdir -p /layers /host /tools /share /new
mount -t tmpfs -o mode=755 tmpfs /layers
mount -t 9p -o "trans=virtio,version=9p2000.L,msize=$msize,cache=none,access=client" share /share ||
	echo "lab: failed: no share"
. /share/lab.env
mount -t 9p -o "ro,trans=virtio,version=9p2000.L,msize=$msize,cache=loose,access=client" host /host ||
	echo "lab: failed: no host"
# A share of its own: overlayfs refuses lower folders of which one lies in the other.
mount -t 9p -o "ro,trans=virtio,version=9p2000.L,msize=$msize,cache=loose,access=client" tools /tools ||
	echo "lab: failed: no tools"
mkdir -p /layers/upper /layers/work
mount -t overlay -o "lowerdir=/tools:/host,upperdir=/layers/upper,workdir=/layers/work" overlay /new ||
	echo "lab: failed: no overlay"
version=$(uname -r)
mkdir -p "/new/usr/lib/modules/$version" /new/lab /new/run
cp -a "/lib/modules/$version/." "/new/usr/lib/modules/$version/"
for folder in proc sys dev; do mount --move "/$folder" "/new/$folder"; done
mount -t tmpfs -o mode=755 tmpfs /new/run
mount --move /share /new/lab
if [ -n "$LAB_LIVE" ]; then
	# The checkout without a cache, so that what is rebuilt outside is seen at once.
	mount -t 9p -o "ro,trans=virtio,version=9p2000.L,msize=$msize,cache=none,access=client" \
		repository "/new$LAB_REPOSITORY" || echo "lab: failed: no repository"
fi
exec switch_root /new /bin/sh /lab/server-main.sh
echo "lab: failed: switch_root failed"
exec sh
