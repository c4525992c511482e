/**
 * A diskless machine that boots from the lab server's exported root over NFS.
 * Owns its address, its name and its network card.
 */
import { ExercisedMachine } from './exercised-machine.ts';
import { qemuValue } from './machine.ts';
import type { LabRoot } from './roots/lab-root.ts';
import { SARGE } from './roots/sarge.ts';
import { rootPath, SERVER_ADDRESS, type LabServer } from './server.ts';

export interface VictimOptions {
  readonly server: LabServer;
  readonly version: '3' | '4.1' | '4.2';
  /** Which of the server's ports its cable is in. Default 0. */
  readonly port?: number;
  /** Default `victim-PORT`; NFSv4 servers know a client by it. */
  readonly hostname?: string;
  /** One that the server has. Default: the usual victim's. */
  readonly root?: LabRoot;
  /** Told each line of its console. */
  readonly onLine?: (line: string) => void;
}

export class Victim extends ExercisedMachine {
  /** Its IPv4 address. */
  readonly address: string;
  readonly hostname: string;

  constructor(options: VictimOptions) {
    const { server, version, port = 0, root = SARGE, onLine } = options;
    const hostname = options.hostname ?? `victim-${port}`;
    const address = `10.77.0.${10 + port}`;
    const lab = {
      vers: version,
      server: SERVER_ADDRESS,
      // Below the pseudo root (fsid=0) for NFSv4, the whole path for NFSv3.
      root: version === '3' ? rootPath(root) : `/${root.name}`,
      init: root.first,
      address,
      hostname,
    };
    const words = Object.entries(lab).map(([key, value]) => `lab.${key}=${value}`);
    super({
      name: hostname,
      folder: server.folder,
      kernel: server.artifacts.kernel,
      initrd: server.artifacts.victimInitramfs,
      append: `systemd.hostname=${hostname} ${words.join(' ')}`,
      memoryMb: 512,
      takesOrders: root.takesOrders,
      devices: [
        ...[
          '-netdev',
          `stream,id=net,server=off,addr.type=unix,addr.path=${qemuValue(server.portSocket(port))}`,
        ],
        ...['-device', `virtio-net-pci,netdev=net,mac=52:54:00:77:02:0${port},romfile=`],
      ],
      onLine,
    });
    this.address = address;
    this.hostname = hostname;
  }
}
