/**
 * One root: its file system's handles and events, access times, mounts below, and the tier that
 * its clients are recorded at, with the reason why it is not a better one.
 */
import { realpathSync, statSync } from 'node:fs';
import { TraceError } from '../../common/errors.ts';
import { TIERS, type Tier } from '../../common/words.ts';
import { HandleIndex } from '../../fanotify-ts/handle-index.ts';
import { FanotifyGroup } from '../../fanotify-ts/index.ts';
import type { Mount, MountTable } from '../../recording/mounts.ts';
import { isWithin } from '../../recording/paths.ts';
import type { ExportFacts } from './export-facts.ts';
import { isSigned } from './exports.ts';
import { fail, isDenial, ok, unseen, warn, type Finding } from './finding.ts';
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
  options: {
    readonly recorded: boolean;
    /** Null where it cannot be read. */
    readonly mounts: MountTable | null;
    readonly exports: readonly ExportFacts[];
  },
): RootFacts {
  const { recorded, mounts, exports } = options;
  const gone = missing(root);
  if (gone !== null) return { root, recorded, findings: [gone], usable: false };
  const tried = [handles(root), events(root)];
  const usable = tried.every(({ state }) => state === 'ok');
  const mount = mounts?.placeOf(root)?.mount;
  const findings = [
    ...(mount === undefined ? [] : [fileSystem(root, mount)]),
    ...tried,
    ...(mount === undefined ? [] : [accessTimes(root, mount)]),
    ...below(root, mounts?.visibleBelow(root) ?? [], exports),
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
      : fail(
          'root',
          'there is no such directory',
          'check the path; mount it, or end its recording if there is one',
          root,
        );
  }
}

function fileSystem(root: Buffer, { type, source, at, top }: Mount): Finding {
  const part = top.equals(Buffer.from('/')) ? '' : `, ${top.toString()} of it`;
  const text = `${type} on ${source.toString()}${part}, mounted on ${at.toString()}`;
  return ok('file system', text, root);
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
function accessTimes(root: Buffer, { options, at }: Mount): Finding {
  const lacks = options.has('ro') ? 'ro' : options.has('noatime') ? 'noatime' : null;
  if (lacks !== null)
    return warn(
      'access times',
      `mounted with ${lacks}: after a loss they cannot tell what was read`,
      lacks === 'ro'
        ? 'mount it writable on the server; the export may stay read-only'
        : `mount -o remount,strictatime ${at.toString()}`,
      root,
    );
  return options.has('relatime')
    ? ok('access times', 'kept once a day and after each change (relatime)', root)
    : ok('access times', 'kept at each read', root);
}

/** Recorded with the root is what clients reach through it, as the export table of a recording has it. */
function below(root: Buffer, mounts: readonly Mount[], exports: readonly ExportFacts[]): Finding[] {
  if (mounts.length === 0) return [];
  const reached = ({ at, type }: Mount): boolean =>
    type !== 'autofs' &&
    exports.some(
      ({ path, options }) => at.equals(path) || (isWithin(at, path) && options.has('crossmnt')),
    );
  const others = mounts.filter((mount) => !reached(mount));
  if (others.length === 0)
    return [ok('mounts below', `${named(mounts)}: exported, and recorded with it`, root)];
  return [
    warn(
      'mounts below',
      `${named(others)}: not exported with it, so not recorded`,
      'if clients use it: crossmnt on the export of the root, or an export of its own',
      root,
    ),
  ];
}

function named(mounts: readonly Mount[]): string {
  const names = mounts.slice(0, MOST_MOUNTS).map(({ at, type }) => `${at.toString()} (${type})`);
  const more = mounts.length - names.length;
  return `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** The tier of each root, and a finding that says why it is not a better one. */
export function judge(
  { root, recorded, usable }: RootFacts,
  options: {
    readonly tiers: readonly TierReport[];
    readonly exports: readonly ExportFacts[];
    readonly wanted: Tier;
    /** Do signed handles resolve (by the kprobe)? */
    readonly signedWork: boolean;
  },
): { readonly verdict: RootVerdict; readonly finding: Finding } {
  const { tiers, exports, wanted, signedWork } = options;
  const what = recorded ? 'recorded' : 'not recorded now';
  const verdict = (tier: Tier | null): RootVerdict => ({ root, recorded, tier });
  if (!usable)
    return {
      verdict: verdict(null),
      finding: fail('tier', `${what}; it cannot be recorded here`, 'see its other lines', root),
    };
  const best = tiers.find(({ available }) => available)?.tier ?? null;
  const hindrance = exportHindrance(root, exports, signedWork);
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
  signedWork: boolean,
): { readonly why: string; readonly hint: string } | null {
  const mine = exports.filter(({ path }) => isWithin(root, path) || isWithin(path, root));
  if (mine.length === 0)
    return {
      why: "the kernel's NFS server does not export it",
      hint: 'add it to /etc/exports and run exportfs -ra; with a server of user space this is the best',
    };
  if (!signedWork && mine.every(isSigned))
    return {
      why: 'its handles are signed (sign_fh), and there is no kprobe event',
      hint: 'see kprobe, or export it without sign_fh',
    };
  return null;
}
