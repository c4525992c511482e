/**
 * Reads a list and gives what it used, as it comes: a list of any size takes little memory. Owns the
 * way from bytes to a session. Must not print.
 */
import type { GivenStream } from '../../daemon/given-stream-client.ts';
import { AuditReader } from '../../lists/audit.ts';
import { FindReader } from '../../lists/find.ts';
import { linesOf } from '../../lists/lines.ts';
import { PlainReader } from '../../lists/plain.ts';
import { RootPaths, type PathView, type RootPathsOptions } from '../../lists/root-paths.ts';
import { StraceReader } from '../../lists/strace/reader.ts';
import type { Format, ListedUse, ListReader, Sink } from '../../lists/use.ts';
import { UsedPaths } from './used-paths.ts';

const NEWLINE = 0x0a;

export interface ImportedList {
  /** The session, which still waits for its end; null if nothing was used. */
  readonly stream: GivenStream | null;
  readonly used: UsedPaths;
}

/** When reading or giving fails, the session is abandoned, which is a loss of it, and that is thrown. */
export async function importList({
  input,
  format,
  paths,
  begin,
}: {
  readonly input: AsyncIterable<Buffer>;
  readonly format: Format;
  readonly paths: RootPaths;
  /** Opens the session; called once there is something to give. */
  readonly begin: () => Promise<GivenStream>;
}): Promise<ImportedList> {
  const used = new UsedPaths(paths);
  const reader = readerOf(format, used, paths);
  let stream: GivenStream | null = null;
  const give = async (): Promise<void> => {
    const rows = used.takeRows();
    if (rows.length > 0) stream ??= await begin();
    await stream?.rows(rows);
  };
  try {
    for await (const { bytes, number, cut } of linesOf(input, format === 'null' ? 0 : NEWLINE)) {
      used.line = number;
      if (cut) used.refuse('too-long');
      else reader.read(bytes);
      if (used.enough) await give();
    }
    reader.end();
    await give();
  } catch (error) {
    (stream as GivenStream | null)?.abandon();
    throw error;
  }
  return { stream, used };
}

/**
 * `auto` for a log that tells of a process which got the root for its own: what came before, and what
 * other processes do, is the server's.
 */
export function viewOf(
  options: RootPathsOptions,
  { head, format }: { readonly head: Buffer; readonly format: Format },
): PathView {
  if (options.view !== 'auto' || (format !== 'strace' && format !== 'audit')) return options.view;
  let [found, left] = [false, head];
  const nothing = (): void => undefined;
  const use = ({ chroot }: ListedUse): void => {
    found ||= chroot !== null && options.names.some((name) => name.equals(chroot));
  };
  const reader = readerOf(format, { use, pass: nothing, refuse: nothing }, new RootPaths(options));
  for (let at = left.indexOf(NEWLINE); at >= 0 && !found; at = left.indexOf(NEWLINE)) {
    reader.read(left.subarray(0, at));
    left = left.subarray(at + 1);
  }
  return found ? 'server' : 'auto';
}

function readerOf(format: Format, sink: Sink, paths: RootPaths): ListReader {
  switch (format) {
    case 'plain':
    case 'null':
      return new PlainReader(sink);
    case 'find':
      return new FindReader(sink);
    case 'audit':
      return new AuditReader(sink);
    case 'strace':
      return new StraceReader({ sink, rootNamed: (directory) => paths.rootNamed(directory) });
  }
}
