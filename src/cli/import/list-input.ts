/**
 * The bytes of a list, from a file or standard input, and a look at its beginning. Owns the opening
 * and its errors.
 */
import { open } from 'node:fs/promises';
import { TraceError } from '../../common/errors.ts';

/** What a guess is made from. */
const HEAD = 64 * 1024;

export interface ListInput {
  readonly head: Buffer;
  /** All of it, the head too. */
  readonly all: AsyncIterable<Buffer>;
}

/** @throws TraceError `list-not-found` (66), `list-not-permitted` (77), `list-unreadable` (74) */
export async function openList(path: string): Promise<ListInput> {
  const source = path === '-' ? process.stdin : await opened(path);
  const chunks = reading(source, path);
  const begun: Buffer[] = [];
  for (let length = 0; length < HEAD;) {
    const next = await chunks.next();
    if (next.done === true) break;
    begun.push(next.value);
    length += next.value.length;
  }
  return { head: Buffer.concat(begun).subarray(0, HEAD), all: both(begun, chunks) };
}

async function opened(path: string): Promise<AsyncIterable<Buffer>> {
  try {
    return (await open(path)).createReadStream({ highWaterMark: 256 * 1024 });
  } catch (error) {
    throw listError(path, error as NodeJS.ErrnoException);
  }
}

async function* reading(
  source: AsyncIterable<Buffer | string>,
  path: string,
): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of source) yield chunk as Buffer;
  } catch (error) {
    throw listError(path, error as NodeJS.ErrnoException);
  }
}

async function* both(
  begun: readonly Buffer[],
  rest: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  yield* begun;
  yield* rest;
}

function listError(path: string, cause: NodeJS.ErrnoException): TraceError {
  const what = path === '-' ? 'standard input' : path;
  const known = KNOWN[cause.code ?? ''];
  if (known !== undefined)
    return new TraceError({ ...known, message: `cannot read ${what}: ${known.message}`, cause });
  return new TraceError({
    code: 'list-unreadable',
    message: `cannot read ${what}: ${cause.message}`,
    hint: 'check the file and its disk',
    exit: 'io',
    cause,
  });
}

const KNOWN: Readonly<
  Record<string, Pick<TraceError, 'code' | 'message' | 'exit'> & { readonly hint: string }>
> = {
  ENOENT: {
    code: 'list-not-found',
    message: 'there is no such file',
    hint: 'check the path',
    exit: 'notFound',
  },
  EACCES: {
    code: 'list-not-permitted',
    message: 'no permission',
    hint: 'run it as a user who may read it',
    exit: 'permission',
  },
  EISDIR: {
    code: 'list-not-found',
    message: 'it is a directory',
    hint: 'name a file, or - for standard input',
    exit: 'notFound',
  },
};
