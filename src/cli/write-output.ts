/** Where `-o` leads: standard output, or a file that is replaced in one step. */
import { statSync } from 'node:fs';
import { TraceError } from '../common/errors.ts';
import { replaceFile } from '../image/replace-file.ts';
import type { Output } from './output.ts';

/**
 * Throws, before anything is built, where an output would replace what it is made from.
 * @param path that of the option, `-o` unless another is named
 * @throws TraceError `output-is-input`
 */
export function checkOutput(path: string, inputs: readonly string[], option = '-o'): void {
  if (!inputs.some((input) => isSameFile(path, input))) return;
  throw new TraceError({
    code: 'output-is-input',
    message: `${option} ${path} is what the output would be made from`,
    hint: 'give it another name',
    exit: 'usage',
  });
}

/** Is it one regular file, by whatever paths? `-` is none. */
export function isSameFile(path: string, other: string): boolean {
  const [file, same] = [path, other].map((one) => (one === '-' ? undefined : fileAt(one)));
  return file !== undefined && file.dev === same?.dev && file.ino === same.ino;
}

/** Of regular files; what cannot be looked at is not read here either. */
function fileAt(path: string): { readonly dev: bigint; readonly ino: bigint } | undefined {
  try {
    const stat = statSync(path, { bigint: true });
    return stat.isFile() ? stat : undefined;
  } catch {
    return undefined;
  }
}

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
