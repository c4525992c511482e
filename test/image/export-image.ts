/** `exportImage` for tests: other programs must read what it wrote, too. */
import { lstatSync } from 'node:fs';
import * as image from '../../src/image/export.ts';
import { assertReadAlike } from '../support/other-readers.ts';

export async function exportImage(options: image.ExportOptions): Promise<image.ExportResult> {
  const made = await image.exportImage(options);
  const { output, format = 'newc' } = options;
  const isArchive = format === 'newc' || format === 'newc-crc';
  if (isArchive && typeof output === 'string' && lstatSync(output).isFile())
    await assertReadAlike(output);
  return made;
}
