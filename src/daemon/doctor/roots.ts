/**
 * One root: its file system's handles and events, access times, mounts below, and the tier that
 * its clients are recorded at, with the reason why it is not a better one.
 */
import { realpathSync, statSync } from 'node:fs';
import { TraceError } from '../../common/errors.ts';
import { TIERS, type Tier } from '../../common/words.ts';
import { HandleIndex } from '../../fanotify-ts/handle-index.ts';
import { FanotifyGroup } from '../../fanotify-ts/index.ts';
import { isWithin } from '../../recording/paths.ts';
import type { ExportFacts } from './export-facts.ts';
import { isSigned } from './exports.ts';
import { fail, isDenial, ok, unseen, warn, type Finding } from './finding.ts';
import { mountOf, mountsBelow, type Mount } from './mounts.ts';
import type { TierReport } from './trace.ts';

const ROOT_ID = 0;
/** Names of mounts that are told; the rest is a number. */
const MOST_MOUNTS = 3;

export interface RootFacts {
  readonly root: Buffer;
  readonly recorded: boolean;
  readonly findings: readonly Finding[];
  /** Can its objects be told apart, and their events be seen? */
  readonly usable: boolean;
}

export interface RootVerdict {
  readonly root: Buffer;
  readonly recorded: boolean;
  /** Null if it cannot be recorded. */
  readonly tier: Tier | null;
}

export function lookAtRoot(
  root: Buffer,
  options: { readonly recorded: boolean; readonly mounts: readonly Mount[] },
): RootFacts {
  const { recorded, mounts } = options;
  const gone = missing(root);
  if (gone !== null) return { root, recorded, findings: [gone], usable: false };
  const tried = [handles(root), events(root)];
  const usable = tried.every(({ state }) => state === 'ok');
  const mount = mountOf(root, mounts);
  const findings = [
    ...(mount === undefined ? [] : [fileSystem(root, mount)]),
    ...tried,
    ...(mount === undefined ? [] : [accessTimes(root, mount)]),
    ...below(root, mounts),
  ];
  return { root, recorded, findings, usable };
}

function missing(root: Buffer): Finding | null {
  try {
    if (statSync(root).isDirectory()) {
      realpathSync.native(root, { encoding: 'buffer' });
      return null;
    }
    return fail('root', 'it is not a directory', 'name the directory itself', root);
  } catch (error) {
    return isDenial(error)
      ? unseen('root', 'this directory', root)
      : fail('root', 'there is no such directory', 'mount it, or end its recording', root);
  }
}

function fileSystem(root: Buffer, { type, source, point, part }: Mount): Finding {
  const whole = part.equals(Buffer.from('/')) ? '' : `, ${part.toString()} of it`;
  return ok('file system', `${type} on ${source}${whole}, mounted on ${point.toString()}`, root);
}

/** name_to_handle_at(2), as the walk of a root does it. */
function handles(root: Buffer): Finding {
  return attempt('handles', 'file handles can be read', root, () => {
    const index = new HandleIndex({ root });
    index.open();
    index.handleOf(ROOT_ID);
    index.close();
  });
}

/** fanotify with FAN_MARK_FILESYSTEM: refused for an id (fsid) of zero and within a subvolume. */
function events(root: Buffer): Finding {
  return attempt('events', 'file events can be watched', root, () => {
    const group = new FanotifyGroup({ paths: [root] });
    group.start();
    void group.stop();
  });
}

function attempt(check: string, good: string, root: Buffer, work: () => void): Finding {
  try {
    work();
    return ok(check, good, root);
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    return fail(check, error.message, error.hint ?? 'see its message', root);
  }
}

/** After a loss, access times are all that can tell what was read meanwhile. */
function accessTimes(root: Buffer, { options, point }: Mount): Finding {
  const lacks = options.has('ro') ? 'ro' : options.has('noatime') ? 'noatime' : null;
  if (lacks !== null)
    return warn(
      'access times',
      `mounted with ${lacks}: after a loss they cannot tell what was read`,
      lacks === 'ro'
        ? 'mount it writable on the server; the export may stay read-only'
        : `mount -o remount,strictatime ${point.toString()}`,
      root,
    );
  return options.has('relatime')
    ? ok('access times', 'kept once a day and after each change (relatime)', root)
    : ok('access times', 'kept at each read', root);
}

function below(root: Buffer, mounts: readonly Mount[]): Finding[] {
  const found = mountsBelow(root, mounts);
  if (found.length === 0) return [];
  const names = found
    .slice(0, MOST_MOUNTS)
    .map(({ point, type }) => `${point.toString()} (${type})`);
  const more = found.length - names.length;
  return [
    warn(
      'mounts below',
      `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}: recorded with the root if exported`,
      'export what clients use: crossmnt on the export of the root, or an export of its own',
      root,
    ),
  ];
}

/** The tier of each root, and a finding that says why it is not a better one. */
export function judge(
  { root, recorded, usable }: RootFacts,
  options: {
    readonly tiers: readonly TierReport[];
    readonly exports: readonly ExportFacts[];
    readonly wanted: Tier;
  },
): { readonly verdict: RootVerdict; readonly finding: Finding } {
  const { tiers, exports, wanted } = options;
  const what = recorded ? 'recorded' : 'not recorded now';
  const verdict = (tier: Tier | null): RootVerdict => ({ root, recorded, tier });
  if (!usable)
    return {
      verdict: verdict(null),
      finding: fail('tier', `${what}; it cannot be recorded here`, 'see its other lines', root),
    };
  const best = tiers.find(({ available }) => available)?.tier ?? null;
  const hindrance = exportHindrance(root, exports);
  const tier = hindrance === null ? best : 'sole-client';
  const text = `${what}; ${tier ?? 'no tier'}`;
  if (tier !== null && TIERS.indexOf(tier) <= TIERS.indexOf(wanted))
    return { verdict: verdict(tier), finding: ok('tier', text, root) };
  if (hindrance !== null)
    return {
      verdict: verdict(tier),
      finding: warn('tier', `${text}: ${hindrance.why}`, hindrance.hint, root),
    };
  const wish = tiers.find((report) => report.tier === wanted);
  return {
    verdict: verdict(tier),
    finding: warn(
      'tier',
      `${text}, not ${wanted}: ${wish?.why ?? 'unknown'}`,
      wish?.hint ?? 'see the tiers',
      root,
    ),
  };
}

/** Why the kernel's trace says nothing of this root, whatever the machine can do. */
function exportHindrance(
  root: Buffer,
  exports: readonly ExportFacts[],
): { readonly why: string; readonly hint: string } | null {
  const mine = exports.filter(({ path }) => isWithin(root, path) || isWithin(path, root));
  if (mine.length === 0)
    return {
      why: "the kernel's NFS server does not export it",
      hint: 'add it to /etc/exports and run exportfs -ra; with a server of user space this is the best',
    };
  if (mine.every(isSigned))
    return {
      why: 'its handles are signed (sign_fh)',
      hint: 'export it without sign_fh',
    };
  return null;
}
