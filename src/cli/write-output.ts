/** Where `-o` leads: standard output, or a file that is replaced in one step. */
import { replaceFile } from '../image/replace-file.ts';
import type { Output } from './output.ts';

export async function writeOutput(
  where: { readonly output: Output; readonly path: string },
  data: Buffer,
): Promise<void> {
  if (where.path === '-') where.output.bytes(data);
  else await replaceFile(where.path, (file) => file.writeFile(data));
}
