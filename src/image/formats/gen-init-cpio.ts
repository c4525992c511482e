/**
 * The list that the kernel's usr/gen_init_cpio and CONFIG_INITRAMFS_SOURCE take. Owns what that
 * format can say. Must not read the root.
 *
 * Its fields are what sscanf(3) takes for words, `${NAME}` in a source is an environment variable,
 * and a line over 8,241 bytes is cut: names that meet any of it are refused, as they would become
 * other names without a message (usr/gen_init_cpio.c, Linux 6.12).
 */
import { TraceError } from '../../common/errors.ts';
import { recordName } from '../archive.ts';
import type { PlanEntry, Problem } from '../plan-types.ts';
import { ATTRIBUTES } from '../records.ts';
import type { StoredFiles } from '../stored-files.ts';

/** LINE_SIZE of gen_init_cpio less its NUL and newline. */
const MAX_LINE = 2 * 4096 + 50 - 2;
const NEWC = '--format newc: CONFIG_INITRAMFS_SOURCE takes a .cpio file too';
/** isspace(3) in the C locale. */
const BLANK = /[ \t\n\v\f\r]/;

export interface GenInitCpioOptions {
  readonly entries: readonly PlanEntry[];
  /** Absolute path of the tree, which sources are below. */
  readonly root: Buffer;
  /** Where files lie there; at their own paths without it. */
  readonly stored?: StoredFiles | undefined;
}

/**
 * One line for each file with all its names, and for each other entry; in the order of the plan.
 * The root itself has no line. Throws `does-not-fit` for what cannot be said.
 */
export function* formatGenInitCpio({
  entries,
  root,
  stored,
}: GenInitCpioOptions): Generator<Buffer> {
  const names = namesOfFiles(entries);
  const base = root.toString('latin1');
  const sourceOf = (path: Buffer) =>
    `${base === '/' ? '' : base}/${(stored?.locate(path).path ?? path).toString('latin1')}`;
  for (const entry of entries) {
    if (entry.path.length === 0) continue;
    const line = lineOf(entry, names, sourceOf);
    if (line === null) continue;
    if (line.length > MAX_LINE) throw refuse(entry, 'its line would be over 8,241 bytes');
    yield Buffer.from(`${line}\n`, 'latin1');
  }
}

/** A warning if some of the files are not for everyone to read: a kernel is seldom built by root. */
export function sourceProblems(entries: readonly PlanEntry[]): Problem[] {
  const closed = entries.filter(
    ({ type, stat, carriesData }) =>
      type === 'file' && carriesData && stat !== null && (stat.mode & 0o004) === 0,
  );
  const [first] = closed;
  if (first === undefined) return [];
  return [
    {
      code: 'sources-not-public',
      message: `${closed.length} files on the list are not for everyone to read, the first is /${first.path.toString()}`,
      hint: 'build the kernel as a user who may read them, or --exclude them',
    },
  ];
}

/** The names of each hard-linked file that come before the one with the data. */
function namesOfFiles(entries: readonly PlanEntry[]): Map<number, PlanEntry[]> {
  const names = new Map<number, PlanEntry[]>();
  for (const entry of entries) {
    if (entry.type !== 'file' || entry.nlink < 2 || entry.carriesData) continue;
    const others = names.get(entry.inode);
    if (others === undefined) names.set(entry.inode, [entry]);
    else others.push(entry);
  }
  return names;
}

/** Null for a name that is on the line of another: the last, when all directories are there. */
function lineOf(
  entry: PlanEntry,
  names: ReadonlyMap<number, readonly PlanEntry[]>,
  sourceOf: (path: Buffer) => string,
): string | null {
  const { type, mode, uid, gid } = entry;
  const name = nameOn(entry);
  const owner = `0${mode.toString(8)} ${uid} ${gid}`;
  switch (type) {
    case 'directory':
      return `dir ${name} ${owner}`;
    case 'symlink':
      return `slink ${name} ${word(entry, entry.target?.toString('latin1') ?? '')} ${owner}`;
    case 'character':
    case 'block':
      return `nod ${name} ${owner} ${type.charAt(0)} ${entry.rdevMajor} ${entry.rdevMinor}`;
    case 'fifo':
      return `pipe ${name} ${owner}`;
    case 'socket':
      return `sock ${name} ${owner}`;
    case 'file': {
      if (!entry.carriesData) return null;
      if (entry.stat === null) throw refuseMade(entry);
      const source = word(entry, sourceOf(entry.path));
      if (source.includes('${')) throw refuse(entry, 'its source holds ${');
      const others = entry.nlink < 2 ? [] : (names.get(entry.inode) ?? []);
      const links = others.map((other) => ` ${nameOn(other)}`);
      return `file ${name} ${source} ${owner}${links.join('')}`;
    }
  }
}

/** gen_init_cpio takes the first slash away, and nothing else. */
function nameOn(entry: PlanEntry): string {
  return word(entry, `/${recordName(entry).toString('latin1')}`);
}

/** Throws for what is not exactly one word. */
function word(entry: PlanEntry, text: string): string {
  if (text === '' || BLANK.test(text)) throw refuse(entry, 'blanks and newlines end a name there');
  if (text.length >= 4096) throw refuse(entry, 'a name there has 4,095 bytes at most');
  return text;
}

/** What is in no file: a generated init, and the attributes. */
function refuseMade(entry: PlanEntry): TraceError {
  if (entry.path.toString('latin1') === ATTRIBUTES)
    return refuse(
      entry,
      'it has the attributes of other entries (capabilities, ACLs), and is in no file of the root',
      `--exclude what has attributes, or take them away in the root; or use ${NEWC}`,
    );
  return refuse(
    entry,
    'it is generated, and in no file of the root',
    `use --init own (and rdinit= on the kernel's command line if the root has no /init); or ${NEWC}`,
  );
}

function refuse({ path }: PlanEntry, why: string, hint = `use ${NEWC}`): TraceError {
  return new TraceError({
    code: 'does-not-fit',
    message: `/${path.toString()} cannot be on a list for gen_init_cpio: ${why}`,
    hint,
    exit: 'data',
  });
}
