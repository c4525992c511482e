/**
 * A session that somebody gives: a traced command, or a list. Owns only types.
 */
import type { Giver } from '../common/words.ts';

export interface GivenOpening {
  /** Absolute, symlinks resolved. */
  readonly root: Buffer;
  readonly giver: Giver;
  readonly label: string | null;
}

/** One use of one path. */
export interface GivenRow {
  /** From the root, whose own is `/` or empty; a leading slash means nothing. */
  readonly path: Buffer;
  /** The last component may be a link, and is followed as open(2) does. */
  readonly follow: boolean;
  /**
   * Operation bits. None: whatever its type allows: a file is read, a link too, all else is looked
   * at. Reading a directory or a link is what it is called there.
   */
  readonly operations: number;
  readonly count: number;
  readonly bytes: number;
  /** Wall clock, microseconds; null: now. */
  readonly firstUs: number | null;
  readonly lastUs: number | null;
  /** The session itself made the file. */
  readonly created: boolean;
}

/** Why a path is in no session. */
const GIVEN_SKIPS = [
  /** No path at all: a NUL in it, a name of more than 255 bytes, or over 4096 in all. */
  'not-a-path',
  /** It goes on below what is no directory. */
  'not-a-directory',
  /** More than 40 links on the way. */
  'too-many-links',
  /** Of a file system below the root that is not recorded with it. */
  'other-file-system',
  /** The index has no room for objects as many as the root has. */
  'no-room',
] as const;
export type GivenSkip = (typeof GIVEN_SKIPS)[number];

/** What became of rows. */
export interface GivenCounts {
  /** Rows of paths that are there. */
  readonly found: number;
  /** Rows of paths that are not: looked up in vain. */
  readonly missing: number;
  readonly skipped: Readonly<Record<GivenSkip, number>>;
}

export const NO_COUNTS: GivenCounts = {
  found: 0,
  missing: 0,
  skipped: Object.fromEntries(GIVEN_SKIPS.map((why) => [why, 0])) as Record<GivenSkip, number>,
};

/** Something that the giver may have missed. */
export interface GivenLoss {
  readonly where: string;
  readonly count: number;
  readonly detail: string | null;
}
