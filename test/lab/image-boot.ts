/**
 * A machine that boots from an image in memory, without any network or disk unless it is given one.
 * Owns the private folder of that machine.
 */
import { rm, stat } from 'node:fs/promises';
import { assertReadAlike } from '../support/other-readers.ts';
import { ensureArtifacts } from './artifacts.ts';
import { SUITE } from './debian.ts';
import { ExercisedMachine, type BootReport } from './exercised-machine.ts';
import { privateFolder } from './private-folder.ts';
import type { LabRoot } from './roots/lab-root.ts';
import { SARGE } from './roots/sarge.ts';

export interface ImageBootOptions {
  /** The cpio, compressed or not, as the kernel takes it. */
  readonly image: string;
  /** The image is of this one. Default: the usual victim's. */
  readonly root?: LabRoot;
  /** Further words of the kernel's command line. */
  readonly append?: string;
  /** Further QEMU arguments: a disk, a network. */
  readonly devices?: readonly string[];
  /** Default: three times the image and 256 MB. */
  readonly memoryMb?: number;
  /** Default `image`. */
  readonly name?: string;
  readonly onLine?: (line: string) => void;
}

/** Other programs read it too, then it boots; gives the machine to `use` once its exercise is done, and removes it all. */
export async function withImageBoot<T>(
  options: ImageBootOptions,
  use: (machine: ExercisedMachine, report: BootReport) => Promise<T>,
): Promise<T> {
  const { kernel } = await ensureArtifacts(SUITE, () => undefined);
  const { size } = await stat(options.image);
  await assertReadAlike(options.image);
  const folder = await privateFolder();
  const machine = new ExercisedMachine({
    name: options.name ?? 'image',
    folder,
    kernel,
    initrd: options.image,
    append: `systemd.hostname=image ${options.append ?? ''}`,
    memoryMb: options.memoryMb ?? 256 + Math.ceil((3 * size) / 2 ** 20),
    takesOrders: (options.root ?? SARGE).takesOrders,
    devices: options.devices ?? [],
    onLine: options.onLine,
  });
  try {
    return await use(machine, await machine.start());
  } finally {
    await machine.powerOff();
    await rm(folder, { recursive: true, force: true });
  }
}
