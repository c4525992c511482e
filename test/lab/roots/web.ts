/**
 * Debian with sysvinit, nginx, and an application in Python behind it; /usr merged. It has no /init:
 * over NFS a machine starts /sbin/init.
 */
import { debianTree, type LabRoot } from './lab-root.ts';

export const WEB: LabRoot = {
  name: 'web',
  first: '/sbin/init',
  takesOrders: false,
  tree: debianTree('web-debian', ['sysvinit-core', 'nginx', 'python3', 'iproute2', 'kmod']),
  modules: ['virtio_pci', 'virtio_blk', 'ext4'],
  files: 'web-root',
  scripts: ['web-setup.sh'],
  diskMb: 640,
};
