/**
 * Makes a snapshot: records a root, finds out what images need of it, and keeps that. Owns the order
 * of it, and the leaving of nothing behind when it fails. Must not know sessions.
 */
import { TraceError } from '../common/errors.ts';
import { NativeTree } from '../fanotify-ts/tree.ts';
import type { ImageRule } from '../image/choices.ts';
import { FileIdentity, SETTLED_SECONDS } from '../image/identity.ts';
import type { Drift, SessionFile } from '../image/plan.ts';
import type { ContentFolder } from './content-folder.ts';
import { Held } from './held.ts';
import { type AddedBlobs, changing, Keeper } from './keeper.ts';
import { KnownContent } from './known-content.ts';
import type { ReadContent } from './recorded-tree.ts';
import { recordRoot, type RootRecord } from './root-record.ts';
import type { SnapshotHead } from './snapshot-file.ts';
import { Snapshots } from './snapshots.ts';
import { wantedFiles } from './wanted-files.ts';

export interface KeepRequest {
  readonly folder: ContentFolder;
  /** Of all blobs. */
  readonly maxBytes: number;
  /** In its one way of writing. */
  readonly expression: string;
  /** What images of it are made of, and what may be in them beside that. */
  readonly files: readonly SessionFile[];
  readonly rules: readonly ImageRule[];
  /** Give up what an earlier snapshot has and the root has not any more. */
  readonly replace?: boolean | undefined;
  readonly tree: NativeTree;
  /** Of this program. */
  readonly version: string;
  readonly signal?: AbortSignal | undefined;
  /** For tests, which cannot wait. */
  readonly settledSeconds?: number | undefined;
}

export interface Kept {
  readonly head: SnapshotHead;
  /** Of blobs that were not there before. */
  readonly added: AddedBlobs;
  /** What was not as the session saw it. */
  readonly drift: readonly Drift[];
}

const ATTEMPTS = 3;
/** A file that changed may need others, which may change. */
const ROUNDS = 5;
/** Files at a time: a sync of several costs little more than one. */
const AT_ONCE = 8;

/**
 * Throws `already-kept`, `content-full`, `content-no-space`, `root-changing`, `root-too-large`, what trees and plans
 * throw, or the signal's reason; then nothing of it is kept, unless only its last sync failed.
 */
export async function keepContent(request: KeepRequest): Promise<Kept> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await keepOnce(request);
    } catch (error) {
      // What the record tells of has gone before it could be read.
      if (!(error instanceof TraceError) || error.code !== 'not-in-root') throw error;
      if (attempt === ATTEMPTS) throw changing(request.tree, error);
    }
  }
}

async function keepOnce(request: KeepRequest): Promise<Kept> {
  const { folder, expression, files, tree, version, signal } = request;
  const { settledSeconds = SETTLED_SECONDS } = request;
  const atUs = Date.now() * 1000;
  const record = await recordRoot(tree, { signal });
  const snapshots = new Snapshots(folder);
  const place = FileIdentity.now(tree)?.place ?? null;
  const known = await KnownContent.of(snapshots, { root: tree.path, place, settledSeconds });
  const held =
    request.replace === true
      ? Held.nothing(expression)
      : await Held.by(snapshots, { expression, files });
  const keeper = await Keeper.open({ ...request, record, known });
  let head: SnapshotHead;
  let drift: readonly Drift[];
  try {
    drift = await keepWanted(request, { record, held, keeper });
    held.refuseLoss(record);
    await keeper.sync();
    head = headOf(record, { expression, root: tree.path, atUs, place, version });
    await snapshots.write({ head, record });
  } catch (error) {
    await keeper.undo();
    throw error;
  }
  // It is in place and refers to the blobs, whether or not this succeeds.
  await snapshots.sync();
  return { head, added: keeper.added(), drift };
}

interface Keeping {
  readonly record: RootRecord;
  readonly held: Held;
  readonly keeper: Keeper;
}

/**
 * Until a plan of what is kept wants nothing else; and what was kept, whoever wanted that.
 * @returns what that plan says of drift
 */
async function keepWanted(
  { tree, folder, files, rules }: KeepRequest,
  { record, held, keeper }: Keeping,
): Promise<readonly Drift[]> {
  const content = NativeTree.open(folder.path);
  const read: ReadContent = (path, offset, length) => {
    const blob = record.get(path.toString('latin1'))?.blob ?? null;
    return blob === null
      ? tree.read(path, offset, length)
      : content.read(Buffer.from(folder.blob(blob)), offset, length);
  };
  try {
    for (let round = 1; ; round++) {
      const { paths, drift } = await wantedFiles({ record, read, files, rules });
      const wanted = new Set(paths);
      // What something is mounted over by now is not the root's.
      for (const path of held.files())
        if (record.get(path)?.stat.foreign === false) wanted.add(path);
      const objects = namesOfObjects(record, wanted);
      if (objects.length === 0) return drift;
      await inParallel(objects, AT_ONCE, (names) => keeper.keep(names));
      if (!keeper.takeChanged()) return drift;
      if (round === ROUNDS) throw changing(tree);
    }
  } finally {
    content.close();
  }
}

/** Objects that are wanted and not kept, each with all its names. */
function namesOfObjects(record: RootRecord, wanted: ReadonlySet<string>): string[][] {
  const objects = new Map<string, Set<string>>();
  const identityOf = (path: string): string => {
    const { dev = 0, ino = 0n } = record.get(path)?.stat ?? {};
    return `${dev}:${ino}`;
  };
  // One that had a single name when it was looked at may have got another since.
  for (const path of wanted) {
    if (record.get(path)?.blob !== null) continue;
    const names = objects.get(identityOf(path)) ?? new Set();
    objects.set(identityOf(path), names.add(path));
  }
  for (const [path, { stat }] of record)
    if (stat.type === 'file' && stat.nlink > 1) objects.get(identityOf(path))?.add(path);
  return [...objects.values()].map((names) => [...names]);
}

function headOf(
  record: RootRecord,
  about: Pick<SnapshotHead, 'expression' | 'atUs' | 'place' | 'version'> & { root: Buffer },
): SnapshotHead {
  const kept = [...record.values()].filter(({ blob }) => blob !== null);
  const sizes = new Map(kept.map(({ blob, stat }) => [blob, stat.size]));
  return {
    snapshot: 1,
    ...about,
    root: about.root.toString('base64'),
    objects: record.size,
    files: kept.length,
    bytes: [...sizes.values()].reduce((sum, size) => sum + size, 0),
  };
}

/** Waits for all that has begun, also when one fails. */
async function inParallel<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = items.values();
  let failed = false;
  const worker = async (): Promise<void> => {
    for (const item of waiting) {
      if (failed) return;
      await work(item).catch((error: unknown) => {
        failed = true;
        throw error;
      });
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: atOnce }, worker));
  for (const one of ended) if (one.status === 'rejected') throw one.reason;
}
