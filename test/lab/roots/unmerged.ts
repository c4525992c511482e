/**
 * Debian with /bin, /sbin and /lib that are directories, as before /usr was merged. Its init is
 * busybox, linked with the C library; an ssh server (dropbear) gives access to perl.
 */
import { debianTree, type LabRoot } from './lab-root.ts';

export const UNMERGED: LabRoot = {
  name: 'unmerged',
  first: '/init',
  takesOrders: false,
  tree: debianTree('unmerged-debian', ['busybox', 'dropbear-bin', 'kmod'], ['--no-merged-usr']),
  modules: ['virtio_pci', 'virtio_blk', 'ext4'],
  files: 'unmerged-root',
  scripts: ['unmerged-setup.sh'],
  diskMb: 512,
};
