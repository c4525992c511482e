/**
 * One static program, busybox, under several hundred names: hard links in /bin, symbolic links
 * elsewhere, /init among them. It serves pages by httpd and a CGI script.
 */
import type { LabRoot } from './lab-root.ts';

export const MULTICALL: LabRoot = {
  name: 'multicall',
  first: '/init',
  takesOrders: false,
  tree: null,
  modules: ['virtio_pci', 'virtio_net', 'aoe', 'ext4'],
  files: 'multicall-root',
  scripts: ['multicall-setup.sh'],
  diskMb: 32,
};
