/** Where `-o` leads: standard output, or a file that is replaced in one step. */
import { replaceFile } from '../image/replace-file.ts';
import type { Output } from './output.ts';

export async function writeOutput(
  where: { readonly output: Output; readonly path: string },
  data: Iterable<Buffer> | AsyncIterable<Buffer>,
): Promise<void> {
  if (where.path === '-') for await (const part of data) where.output.bytes(part);
  else
    await replaceFile(where.path, async (file) => {
      for await (const part of data) await file.writeFile(part);
    });
}
