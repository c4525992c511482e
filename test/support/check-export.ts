/** After `trace export` of whatever words: other programs must read the image, too. */
import { existsSync, lstatSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
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
