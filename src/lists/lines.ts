/**
 * Cuts a stream into lines, or what a NUL ends. Owns the bound on one: what is longer comes cut
 * short, and marked.
 */

/** strace writes the arguments of a program in one line. */
export const MOST_LINE = 1024 * 1024;

export interface Line {
  /** Without its end. */
  readonly bytes: Buffer;
  /** From 1 on. */
  readonly number: number;
  /** It was longer than {@link MOST_LINE}; this is its beginning. */
  readonly cut: boolean;
}

/** @param end the byte that ends each; the last may lack it */
export async function* linesOf(
  input: AsyncIterable<Buffer>,
  end: number,
  most = MOST_LINE,
): AsyncGenerator<Line> {
  let begun: Buffer[] = [];
  let length = 0;
  let number = 1;
  const keep = (part: Buffer): void => {
    if (length < most) begun.push(part.subarray(0, most - length));
    length += part.length;
  };
  const take = (): Line => {
    const [only = Buffer.alloc(0), ...more] = begun;
    const bytes = more.length === 0 ? only : Buffer.concat(begun);
    const line = { bytes, number, cut: length > most };
    [begun, length, number] = [[], 0, number + 1];
    return line;
  };
  for await (const chunk of input) {
    let from = 0;
    for (let at = chunk.indexOf(end); at >= 0; at = chunk.indexOf(end, from)) {
      keep(chunk.subarray(from, at));
      yield take();
      from = at + 1;
    }
    if (from < chunk.length) keep(chunk.subarray(from));
  }
  if (length > 0) yield take();
}
