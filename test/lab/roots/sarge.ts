/** Debian with systemd, udev and sshd, /usr merged, and an /init of its own: the usual victim. */
import { debianTree, type LabRoot } from './lab-root.ts';

const PACKAGES = ['systemd-sysv', 'openssh-server', 'iproute2', 'kmod', 'udev'];

export const SARGE: LabRoot = {
  name: 'sarge',
  first: '/init',
  takesOrders: true,
  tree: debianTree('victim-debian', PACKAGES),
  modules: [],
  files: 'victim-root',
  scripts: ['victim-setup.sh', 'odd-names.sh'],
  diskMb: 1024,
};
