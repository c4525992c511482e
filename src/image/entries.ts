/**
 * Turns a closed set of paths into the entries of an image. Owns their times and modes. Must not
 * choose what is in.
 */
import type { Draft, DraftReason } from './closure.ts';
import { numberEntries } from './numbering.ts';
import type { OwnerChange } from './owners.ts';
import type { PlanEntry } from './plan-types.ts';
import { toBytes } from './resolve.ts';
import type { TableNode } from './tables.ts';
import type { Tree } from './tree.ts';

/** The largest number of a newc field. */
const MAX_FIELD = 0xffffffff;

export interface EntryOptions {
  /** In bytewise order of the paths. */
  readonly drafts: readonly Draft[];
  readonly tree: Tree;
  readonly mountPoints: readonly TableNode[];
  /** No time is later than this. */
  readonly mtimeMax: number | undefined;
  readonly owner: OwnerChange;
}

export function toEntries({
  drafts,
  tree,
  mountPoints,
  mtimeMax,
  owner,
}: EntryOptions): PlanEntry[] {
  const latest = Math.min(mtimeMax ?? MAX_FIELD, MAX_FIELD);
  const modes = new Map(mountPoints.map((node) => [node.path, node.mode]));
  const numberOf = numberEntries(drafts);
  return drafts.map((draft) => {
    const { stat, node } = draft;
    const path = toBytes(draft.path);
    const type = stat?.type ?? node?.type ?? 'directory';
    const target =
      type !== 'symlink'
        ? null
        : node?.target === undefined
          ? tree.readlink(path)
          : Buffer.from(node.target);
    const content = node?.content ?? null;
    const { uid, gid } = owner({ uid: stat?.uid ?? 0, gid: stat?.gid ?? 0 });
    // Of a mount point that is in use now, the mode is another file system's.
    const own = stat?.foreign === true ? (modes.get(draft.path) ?? stat.mode) : stat?.mode;
    const { nlink, inode, last } = numberOf(draft.path);
    return {
      path,
      type,
      mode: own ?? node?.mode ?? 0o755,
      uid,
      gid,
      size: target?.length ?? (type === 'file' ? (content?.length ?? stat?.size ?? 0) : 0),
      // The root's own time changes whenever anything is put beside its directories, a recorder's
      // passing probe included, and nothing reads it.
      mtime: draft.path === '' ? 0 : Math.max(0, Math.min(stat?.mtime ?? 0, latest)),
      nlink,
      inode,
      carriesData: type === 'file' && last,
      rdevMajor:
        type === 'character' || type === 'block' ? (stat?.rdevMajor ?? node?.major ?? 0) : 0,
      rdevMinor:
        type === 'character' || type === 'block' ? (stat?.rdevMinor ?? node?.minor ?? 0) : 0,
      target,
      content,
      reasons: onceEach(draft.reasons).map(({ kind, about }) => ({
        kind,
        about: about === null ? null : toBytes(about),
      })),
      stat,
    };
  });
}

/**
 * In the order of their first time. Links in a circle lead to each other twenty times, a program is
 * asked for by many names; to look for that here, once for all, keeps the closure quick.
 */
function onceEach(reasons: readonly DraftReason[]): readonly DraftReason[] {
  if (reasons.length < 2) return reasons;
  const byWords = new Map<string, DraftReason>();
  for (const reason of reasons) {
    const words = `${reason.kind} ${reason.about ?? '\0'}`;
    if (!byWords.has(words)) byWords.set(words, reason);
  }
  return [...byWords.values()];
}
