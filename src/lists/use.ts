/**
 * What a reader of a list makes of it: uses of paths, and a count of everything else. Owns only
 * types, words and what a bare path means.
 */

/** Why a line, or a path in it, is nothing that can be used: the list may have lacked an access. */
export const REFUSALS = [
  /** Neither what the format has, nor anything that it is known to have besides. */
  'not-understood',
  /** Longer than any line that is read. */
  'too-long',
  /** The path is cut short: it may be another file's. */
  'truncated',
  /** The path is relative to a directory that the list does not tell. */
  'unknown-directory',
] as const;
export type Refusal = (typeof REFUSALS)[number];

/** What was understood, and names nothing to take. */
export const PASSES = [
  /** A path that is not below the root. */
  'outside',
  /** A call, a signal, a record that is about no file by its path. */
  'no-path',
] as const;
export type Pass = (typeof PASSES)[number];

export interface ListedUse {
  /** Absolute, or relative to the root. */
  readonly path: Buffer;
  /** What the process that used it had as its root, as the server names it; null if it is not known. */
  readonly chroot: Buffer | null;
  /** The last component was followed if it is a link. */
  readonly follow: boolean;
  /** Operation bits; none: whatever its type allows. */
  readonly operations: number;
  /** The process made it. */
  readonly created: boolean;
  /** That something was at the path then, be it by this use itself, is certain enough. */
  readonly there: boolean;
  /** Wall clock, microseconds. */
  readonly atUs: number | null;
}

/** Of a path that is only named: what is used of it is what its type allows. */
export const NAMED: Omit<ListedUse, 'path'> = {
  chroot: null,
  follow: false,
  operations: 0,
  created: false,
  there: true,
  atUs: null,
};

export interface Sink {
  use(use: ListedUse): void;
  refuse(why: Refusal): void;
  pass(what: Pass): void;
}

/** Reads one format, line by line. */
export interface ListReader {
  /** @param line without its end */
  read(line: Buffer): void;
  /** There are no more lines. */
  end(): void;
}

export const FORMATS = ['plain', 'null', 'strace', 'find', 'audit'] as const;
export type Format = (typeof FORMATS)[number];
