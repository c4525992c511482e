/**
 * Turns what SQLite and the file system report into the one error type.
 */
import { TraceError, type ExitName } from '../common/errors.ts';

interface Story {
  readonly code: string;
  readonly says: string;
  readonly hint: string;
  readonly exit: ExitName;
}

const DAMAGED: Story = {
  code: 'database-damaged',
  says: 'is damaged or is not a SQLite database',
  hint: '`trace doctor --repair` salvages what can be read, and keeps the damaged file',
  exit: 'data',
};
const UNSOUND: Story = {
  ...DAMAGED,
  says: 'is damaged: it holds what no recorder writes',
  hint: 'move it away (trace starts a new one) or restore a copy',
};
const UNREADABLE: Story = {
  code: 'database-unreadable',
  says: 'may not be opened by this user',
  hint: 'ask for read permission on the file and its folder, or run the command as root',
  exit: 'permission',
};
const MOVED: Story = {
  code: 'database-moved',
  says: 'was moved or deleted while it was open',
  hint: 'put it back and start the program again; what it wrote since is in the moved file',
  exit: 'io',
};
const FULL: Story = {
  code: 'database-full',
  says: 'has no room left to grow',
  hint: 'free some space on its file system; nothing that was committed is lost',
  exit: 'io',
};
const BUSY: Story = {
  code: 'database-busy',
  says: 'is locked by another program',
  hint: 'find it with `fuser` and try again when it has finished',
  exit: 'busy',
};
const IO: Story = {
  code: 'database-io',
  says: 'could not be read or written',
  hint: 'see the kernel log for errors of the disk or file system',
  exit: 'io',
};

/** By the primary part of SQLite's code, or the errno's name. */
const STORIES: readonly (readonly [RegExp, Story])[] = [
  [/^UNSOUND_ROW$/, UNSOUND],
  // SQLITE_ERROR: a statement of ours that cannot be prepared, as without one of the tables.
  [/^SQLITE_(CORRUPT|NOTADB|ERROR$)/, DAMAGED],
  [/^SQLITE_READONLY_DBMOVED/, MOVED],
  [/^(SQLITE_(CANTOPEN|PERM|AUTH|READONLY)|EACCES|EPERM|EROFS)/, UNREADABLE],
  [/^(SQLITE_FULL|ENOSPC|EDQUOT)/, FULL],
  [/^SQLITE_(BUSY|LOCKED)/, BUSY],
  [/^(SQLITE_IOERR|E[A-Z0-9]+$)/, IO],
];

/** A row that this program has never written: somebody else did, or the disk. */
export class DamagedRow extends Error {
  readonly code = 'UNSOUND_ROW';
}

/** A page that cannot be what SQLite has written. */
export class DamagedPage extends Error {
  readonly code = 'SQLITE_CORRUPT';
}

/** What went wrong with the database at `path`; an error of another kind is passed through. */
export function storeError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error instanceof TraceError) return error;
  const { code } = error as NodeJS.ErrnoException;
  const story = STORIES.find(([pattern]) => typeof code === 'string' && pattern.test(code))?.[1];
  if (story === undefined) return error;
  return new TraceError({
    code: story.code,
    message: `the database ${path} ${story.says} (${error.message})`,
    hint: story.hint,
    exit: story.exit,
    cause: error,
  });
}
