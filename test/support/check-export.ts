/** What commands of ours made: other programs must read the images, too. */
import { existsSync, lstatSync, readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { assertReadAlike } from './other-readers.ts';

export interface Exported {
  /** After `trace`. */
  readonly args: readonly string[];
  /** Where it ran. */
  readonly folder: string;
  readonly stdout: Buffer;
  /** It may have run in another folder, and then its caller looks there. */
  readonly elsewhere?: boolean;
}

/** After `trace export` of whatever words. */
export async function checkExport({
  args,
  folder,
  stdout,
  elsewhere = false,
}: Exported): Promise<void> {
  const given = (...names: string[]) => args[args.findIndex((word) => names.includes(word)) + 1];
  const isGiven = (...names: string[]) => args.some((word) => names.includes(word));
  const format = isGiven('--format') ? given('--format') : 'newc';
  if (!isGiven('-o', '--output') || (format !== 'newc' && format !== 'newc-crc')) return;
  const output = given('-o', '--output') ?? '';
  const image = resolve(folder, output === '-' ? '.exported' : output);
  if (output === '-') writeFileSync(image, stdout);
  if (elsewhere && !existsSync(image)) return;
  if (lstatSync(image).isFile()) await assertReadAlike(image);
}

/** After a script that may have made any, named as is usual. */
export async function checkImagesIn(folder: string): Promise<void> {
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  for (const { name } of files)
    if (/\.cpio(?:\.\w+)?$/.test(name)) await assertReadAlike(join(folder, name));
}
