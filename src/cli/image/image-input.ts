/**
 * An image that a person names, and what is said when it is broken. Owns its opening and closing.
 */
import { EXIT, TraceError } from '../../common/errors.ts';
import { Input } from '../../image/tools/input.ts';
import { stopWords } from '../../image/tools/stop-words.ts';
import type { WalkedImage } from '../../image/tools/walk-image.ts';
import { bytesOfArgument } from '../bytes-of-argument.ts';
import type { Output } from '../output.ts';

/** `-` is standard input. @throws TraceError `image-not-readable` */
export async function withImage<T>(path: string, use: (input: Input) => Promise<T>): Promise<T> {
  const input = Input.open(bytesOfArgument(path));
  try {
    return await use(input);
  } finally {
    input.close();
  }
}

/** Throws `image-broken`, after what could be read was told; in JSON the result tells it. */
export function checkWhole(
  { stop, why }: Pick<WalkedImage, 'stop' | 'why'>,
  { output, name }: { readonly output: Output; readonly name: string },
): void {
  if (stop === null) return;
  if (output.json) {
    process.exitCode = EXIT.data;
    return;
  }
  const { message, hint } = stopWords(stop, why);
  throw new TraceError({
    code: 'image-broken',
    message: `${name} is broken ${message}`,
    hint,
    exit: 'data',
  });
}
