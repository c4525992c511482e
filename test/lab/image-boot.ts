/**
 * A machine without any network or disk that boots from an image in memory.
 * Owns the private folder of that machine.
 */
import { rm, stat } from 'node:fs/promises';
import { ensureArtifacts } from './artifacts.ts';
import { SUITE } from './debian.ts';
import { ExercisedMachine, type BootReport } from './exercised-machine.ts';
import { privateFolder } from './private-folder.ts';

export interface ImageBootOptions {
  /** The cpio, compressed or not, as the kernel takes it. */
  readonly image: string;
  /** Default: three times the image and 256 MB. */
  readonly memoryMb?: number;
  /** Default `image`. */
  readonly name?: string;
  readonly onLine?: (line: string) => void;
}

/** Boots an image, gives the machine to `use` once its exercise is done, and removes it all. */
export async function withImageBoot<T>(
  options: ImageBootOptions,
  use: (machine: ExercisedMachine, report: BootReport) => Promise<T>,
): Promise<T> {
  const { kernel } = await ensureArtifacts(SUITE, () => undefined);
  const { size } = await stat(options.image);
  const folder = await privateFolder();
  const machine = new ExercisedMachine({
    name: options.name ?? 'image',
    folder,
    kernel,
    initrd: options.image,
    append: 'systemd.hostname=image',
    memoryMb: options.memoryMb ?? 256 + Math.ceil((3 * size) / 2 ** 20),
    devices: [],
    onLine: options.onLine,
  });
  try {
    return await use(machine, await machine.start());
  } finally {
    await machine.powerOff();
    await rm(folder, { recursive: true, force: true });
  }
}
