/**
 * A machine that does only what begins a boot: its kernel starts, mounts the root over NFS and reads
 * the first program. For what needs a real kernel's start and nothing more. Owns its address and
 * its clock.
 */
import { Machine, qemuValue } from './machine.ts';
import { SERVER_ADDRESS, type LabServer } from './server.ts';

const TIMEOUT_MS = 240_000;

export interface BriefVictimOptions {
  readonly server: LabServer;
  readonly version: '4.0' | '4.1' | '4.2';
  readonly port: number;
  /** What its battery-backed clock says at each power-on, e.g. `1970-01-01T00:00:00`. */
  readonly clock: string;
}

export class BriefVictim {
  readonly address: string;
  readonly #options: BriefVictimOptions;

  constructor(options: BriefVictimOptions) {
    this.#options = options;
    this.address = `10.77.0.${10 + options.port}`;
  }

  /** Power on, one brief boot, power cut. Gives the year that the machine believed in. */
  async boot(): Promise<number> {
    const { server, version, port, clock } = this.#options;
    const name = `brief-${port}`;
    const lab = { vers: version, server: SERVER_ADDRESS, root: '/sarge', hostname: name, brief: 1 };
    const words = Object.entries({ ...lab, address: this.address });
    const machine = new Machine({
      name,
      kernel: server.artifacts.kernel,
      initrd: server.artifacts.victimInitramfs,
      append: `quiet ${words.map(([key, value]) => `lab.${key}=${value}`).join(' ')}`,
      memoryMb: 256,
      cpus: 1,
      devices: [
        ...['-rtc', `base=${clock}`],
        ...[
          '-netdev',
          `stream,id=net,server=off,addr.type=unix,addr.path=${qemuValue(server.portSocket(port))}`,
        ],
        ...['-device', `virtio-net-pci,netdev=net,mac=52:54:00:77:03:0${port},romfile=`],
      ],
    });
    machine.start();
    try {
      const [, year] = await machine.waitFor(/lab: read init at (\d+)/, TIMEOUT_MS);
      return Number(year);
    } finally {
      await machine.kill();
    }
  }
}
