/**
 * A list of files as a person has it, from a file or standard input, as paths below a root. Owns
 * which of the forms that lists come in it is. Must not look into the root.
 */
import { TraceError } from '../../common/errors.ts';
import { parseList } from '../../image/list.ts';
import { guessFormat } from '../../lists/guess-format.ts';
import { openList } from '../import/list-input.ts';

/** Millions of names: more is no list of what a boot used, and must not fill the memory. */
const MOST_BYTES = 256 << 20;

/**
 * One path a line, or each ended by a NUL byte, which no name can hold: so the one NUL tells.
 * A path that begins with the root's own is below it; any other is as the root itself sees it.
 * @param options.roots names of the root, absolute
 * @throws TraceError `list-too-large`, `list-empty`, `list-of-uses`, and what {@link openList} does
 */
export async function readList(
  file: string,
  { roots }: { readonly roots: readonly Buffer[] },
): Promise<Buffer[]> {
  const { head, all } = await openList(file);
  const format = guessFormat(head);
  if (format !== 'plain' && format !== 'null')
    throw new TraceError({
      code: 'list-of-uses',
      message: `${nameOf(file)} is no list of paths: it has the format ${format} of trace import`,
      hint: '`trace import --list` makes a session of it, and `trace export` the image',
      exit: 'data',
    });
  const bytes = await readAll(file, all);
  const paths = parseList(bytes, { nul: bytes.includes(0), roots });
  if (paths.length > 0) return paths;
  throw new TraceError({
    code: 'list-empty',
    message: `there is no path in ${nameOf(file)}`,
    hint: 'a list has one path of the root a line',
    exit: 'data',
  });
}

async function readAll(file: string, all: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of all) {
    parts.push(part);
    length += part.length;
    if (length > MOST_BYTES) break;
  }
  if (length <= MOST_BYTES) return Buffer.concat(parts);
  throw new TraceError({
    code: 'list-too-large',
    message: `${nameOf(file)} is over ${MOST_BYTES >> 20} MiB`,
    hint: 'is it a list of files, one path a line?',
    exit: 'data',
  });
}

const nameOf = (file: string): string => (file === '-' ? 'standard input' : file);
