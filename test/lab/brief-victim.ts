/**
 * A machine that does only what begins a boot: its kernel starts, mounts the root over NFS and reads
 * the first program. For what needs a real kernel's start and nothing more. Owns its address and
 * its clock.
 */
import { Machine, qemuValue } from './machine.ts';
import { SERVER_ADDRESS, VICTIM_ROOT, type LabServer } from './server.ts';

const TIMEOUT_MS = 240_000;

export interface BriefVictimOptions {
  readonly server: LabServer;
  readonly version: '3' | '4.2';
  readonly port: number;
  /** What its battery-backed clock says at each power-on, e.g. `1970-01-01T00:00:00`. */
  readonly clock?: string;
}

/**
 * Loads the kernel and the initramfs of the root's /boot and jumps into it, as kexec(8) does, which
 * the root lacks: kexec_file_load(2), reboot(2).
 */
export const KEXEC = String.raw`#!/usr/bin/perl
use strict;
open(my $kernel, '<', '/boot/lab-kernel') or die "kernel: $!";
open(my $initrd, '<', '/boot/lab-initrd') or die "initrd: $!";
my $line = "$ARGV[0]\0";
syscall(320, fileno($kernel), fileno($initrd), length($line), $line, 0) == 0 or die "load: $!";
syscall(169, 0xfee1dead, 672274793, 0x45584543, 0);
die "reboot: $!";
`;

export class BriefVictim {
  readonly address: string;
  readonly #options: BriefVictimOptions;

  constructor(options: BriefVictimOptions) {
    this.#options = options;
    this.address = `10.77.0.${10 + options.port}`;
  }

  /** Power on, one brief boot, power cut. Gives the year that the machine believed in. */
  boot(): Promise<number> {
    return this.#run('', 1);
  }

  /** Power on, a brief boot, kexec, another one, power cut. {@link KEXEC} is in the root's /boot. */
  bootAndKexec(): Promise<number> {
    return this.#run('kexec', 2);
  }

  async #run(then: '' | 'kexec', boots: number): Promise<number> {
    const { server, version, port, clock } = this.#options;
    const name = `brief-${port}`;
    const root = version === '3' ? VICTIM_ROOT : VICTIM_ROOT.replace(/^\/nfsroots/, '');
    const lab = { vers: version, server: SERVER_ADDRESS, root, hostname: name, brief: 1, then };
    const words = Object.entries({ ...lab, address: this.address });
    const machine = new Machine({
      name,
      kernel: server.artifacts.kernel,
      initrd: server.artifacts.victimInitramfs,
      append: `quiet ${words.map(([key, value]) => `lab.${key}=${value}`).join(' ')}`,
      memoryMb: 384,
      cpus: 1,
      devices: [
        ...(clock === undefined ? [] : ['-rtc', `base=${clock}`]),
        ...[
          '-netdev',
          `stream,id=net,server=off,addr.type=unix,addr.path=${qemuValue(server.portSocket(port))}`,
        ],
        ...['-device', `virtio-net-pci,netdev=net,mac=52:54:00:77:03:0${port},romfile=`],
      ],
    });
    machine.start();
    try {
      let year = NaN;
      for (let from = 0, boot = 0; boot < boots; boot++) {
        const said = await machine.waitFor(/lab: read init at (\d+)\n/, TIMEOUT_MS, from);
        from += said.index + said[0].length;
        year = Number(said[1]);
      }
      return year;
    } finally {
      await machine.kill();
    }
  }
}
