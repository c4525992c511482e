/**
 * The file list: one relative path a line, in bytewise order, the root itself as `.`; or each path
 * ended by a NUL. Owns the format. Must not choose what is on a list.
 */
import { compareBytes } from '../common/bytes.ts';
import { TraceError } from '../common/errors.ts';

export interface ListOptions {
  /** End paths with NUL instead of a newline: the only way for names that hold newlines. */
  readonly nul: boolean;
}

const NEWLINE = 0x0a;
const SLASH = 0x2f;
const DOT = Buffer.from('.');

/**
 * Throws `newline-in-name` when a name cannot be told from two.
 * @param options.nulBy what a person gives instead to have NULs
 */
export function formatList(
  paths: readonly Buffer[],
  { nul, nulBy = '-0' }: ListOptions & { readonly nulBy?: string },
): Buffer {
  const end = Buffer.from([nul ? 0 : NEWLINE]);
  const parts: Buffer[] = [];
  for (const path of unique(paths)) {
    if (!nul && path.includes(NEWLINE))
      throw new TraceError({
        code: 'newline-in-name',
        message: `a name holds a newline: ${JSON.stringify(path.toString())}`,
        hint: `use ${nulBy} to end the names with NUL instead`,
        exit: 'data',
      });
    parts.push(path.length === 0 ? DOT : path, end);
  }
  return Buffer.concat(parts);
}

/**
 * Reads a list, by us or by others: `./a`, `/a`, `a//b` and `a/` are `a`, `a`, `a/b` and `a`.
 * @param options.roots names of the root, absolute: what begins with one is below it
 */
export function parseList(
  bytes: Buffer,
  { nul, roots = [] }: ListOptions & { readonly roots?: readonly Buffer[] },
): Buffer[] {
  const end = nul ? 0 : NEWLINE;
  const tops = roots.map(plainPath);
  const paths: Buffer[] = [];
  for (let start = 0; start < bytes.length;) {
    const found = bytes.indexOf(end, start);
    const stop = found < 0 ? bytes.length : found;
    if (stop > start) paths.push(pathBelow(tops, bytes.subarray(start, stop)));
    start = stop + 1;
  }
  return unique(paths);
}

function unique(paths: readonly Buffer[]): Buffer[] {
  const sorted = [...paths].sort(compareBytes);
  return sorted.filter((path, index) => sorted[index - 1]?.equals(path) !== true);
}

function pathBelow(tops: readonly Buffer[], listed: Buffer): Buffer {
  const path = plainPath(listed);
  if (listed[0] !== SLASH) return path;
  const top = tops.find(
    (one) =>
      one.equals(path.subarray(0, one.length)) &&
      (path.length === one.length || path[one.length] === SLASH),
  );
  return top === undefined ? path : path.subarray(top.length + 1);
}

/** Without leading, doubled and trailing slashes and `.` components. `..` stays: it may pass links. */
function plainPath(path: Buffer): Buffer {
  const text = path.toString('latin1');
  const parts = text.split('/').filter((part) => part !== '' && part !== '.');
  return Buffer.from(parts.join('/'), 'latin1');
}
