/**
 * Sessions that somebody gives, row by row: a traced command, or a list. Each has a recording of its
 * own, whose tier is its giver. Owns those that are open, and what their rows become.
 * Must not know how rows arrive, nor what sensors see.
 */
import type { SessionEffect } from '../attribution/boot-sessions.ts';
import type { OpenSession } from '../common/boots.ts';
import { TraceError } from '../common/errors.ts';
import { GIVERS, operationBit, type Giver } from '../common/words.ts';
import type { Store } from '../store/store.ts';
import type { AccessUpdate, LossUpdate } from '../store/types.ts';
import { BatchBuilder } from './batch-builder.ts';
import { nowUs } from './clock.ts';
import { foreignMounts, GivenTrees } from './given-trees.ts';
import {
  NO_COUNTS,
  type GivenCounts,
  type GivenLoss,
  type GivenOpening,
  type GivenRow,
} from './given-types.ts';
import { walkPath, type Looked } from './path-walk.ts';
import type { Pipe } from './pipe.ts';
import type { RootRecording } from './root-recording.ts';

/** Each keeps a tree in memory, at the worst. */
const MOST_OPEN = 64;

const READ = operationBit('read');
const READLINK = operationBit('readlink');
const READDIR = operationBit('readdir');
const LOOKUP = operationBit('lookup');
const GETATTR = operationBit('getattr');
const S_IFMT = 0o170000;
const REGULAR = 0o100000;
const LINK = 0o120000;
const DIRECTORY = 0o040000;

export interface GivenSessionsOptions {
  readonly store: Store;
  readonly pipe: Pipe;
  /** Roots that are recorded, by id. */
  readonly roots: ReadonlyMap<number, RootRecording>;
  /** One piece of work at a time, for whoever works with the same roots. */
  readonly turn: <T>(work: () => Promise<T>) => Promise<T>;
}

/** A given session that goes on; times are monotonic. */
interface Given {
  readonly session: OpenSession;
  readonly giver: Giver;
  readonly path: Buffer;
  lastUs: number;
  order: number;
  /** Uses of what the index of the root has no room for, and files some of whose names are missing. */
  noRoom: number;
}

export class GivenSessions {
  readonly #options: GivenSessionsOptions;
  readonly #trees: GivenTrees;
  readonly #open = new Map<number, Given>();
  /** Recordings that have ended, and when (monotonic), while the store does not know. */
  readonly #unstopped = new Map<number, number>();

  constructor(options: GivenSessionsOptions) {
    this.#options = options;
    this.#trees = new GivenTrees({ store: options.store, recorded: options.roots });
  }

  /** Sessions that are being given; monotonic. */
  get open(): OpenSession[] {
    return [...this.#open.values()].map(({ session, lastUs }) => ({ ...session, lastUs }));
  }

  has(id: number): boolean {
    return this.#open.has(id);
  }

  /**
   * Opens a session. Nothing is written if the root cannot be listed.
   * @throws TraceError `root-not-found`, ..., `too-many-given`
   */
  begin({ root: path, giver, label }: GivenOpening): Promise<number> {
    const { store, pipe } = this.#options;
    return this.#options.turn(async () => {
      if (this.#open.size >= MOST_OPEN)
        throw new TraceError({
          code: 'too-many-given',
          message: `${MOST_OPEN} sessions are being given already`,
          hint: 'wait until one has ended: see `trace sessions`',
          exit: 'busy',
        });
      GivenTrees.check(path);
      // A step of the clock that waits for the store would move what comes before it.
      pipe.commit([]);
      const atUs = nowUs();
      const rootId = store.ensureRoot(path);
      const recordingId = store.startRecording({
        rootId,
        label,
        clients: [],
        tier: giver,
        atUs: pipe.wall.toWall(atUs),
      });
      const session: OpenSession = {
        id: pipe.sessions.takeId(),
        client: giver,
        rootId,
        recordingId,
        evidence: { kind: giver },
        partial: false,
        openedUs: atUs,
        lastUs: atUs,
      };
      const given: Given = { session, giver, path, lastUs: atUs, order: 0, noRoom: 0 };
      let opened = false;
      try {
        await this.#treeOf(given);
        opened = true;
        this.#commit([{ kind: 'opened', session, tier: giver }]);
      } catch (error) {
        // That it opened may wait for the store: then so does its end.
        await this.#finish(session, opened ? 'broken' : null);
        throw error;
      }
      this.#open.set(session.id, given);
      return session.id;
    });
  }

  /**
   * Takes rows into a session: all of them are in one transaction.
   * @throws TraceError `root-not-found`, ...; if memory is full, what the store refuses it with
   */
  add(id: number, rows: readonly GivenRow[]): Promise<GivenCounts> {
    return this.#options.turn(async () => {
      const given = this.#given(id);
      const { pipe } = this.#options;
      if (pipe.full)
        throw new TraceError({
          code: 'database-io',
          message: 'the database takes nothing, and memory is full',
          hint: 'see `trace status`',
          exit: 'io',
        });
      const tree = await this.#treeOf(given);
      this.#tellNames(tree);
      const builder = new BatchBuilder();
      const before = tree.leftOut;
      const counts = this.#take(rows, { given, tree, builder });
      if (this.#trees.isOwn(tree)) builder.names.push(...tree.nameChanges());
      given.noRoom += tree.leftOut - before;
      given.lastUs = nowUs();
      this.#commit([], builder);
      return counts;
    });
  }

  /**
   * Ends a session.
   * @param how.broken why it may lack something that its giver had still to give; null: it is whole
   * @param how.losses what the giver may have missed
   */
  end(
    id: number,
    how: { readonly broken: string | null; readonly losses?: readonly GivenLoss[] },
  ): Promise<void> {
    const { pipe } = this.#options;
    return this.#options.turn(async () => {
      const { session, noRoom } = this.#given(id);
      const { broken, losses = [] } = how;
      const builder = new BatchBuilder();
      const all = [
        ...losses,
        ...(noRoom === 0 ? [] : [{ where: 'index', count: noRoom, detail: null }]),
        ...(broken === null ? [] : [{ where: 'giver', count: 1, detail: broken }]),
      ];
      const [fromUs, toUs] = [pipe.wall.toWall(session.openedUs), pipe.wall.nowUs];
      builder.losses.push(...all.map((loss) => lossOf(loss, { session, fromUs, toUs })));
      await this.#finish(session, broken === null ? 'given' : 'broken', builder);
    });
  }

  /** Tells the store which recordings have ended, when nothing waits before that. */
  stopEnded(): void {
    const { pipe, store } = this.#options;
    if (pipe.uncommitted > 0) return;
    for (const [id, atUs] of this.#unstopped)
      try {
        store.stopRecording(id, pipe.wall.toWall(atUs));
        this.#unstopped.delete(id);
      } catch (error) {
        // A later flush asks again.
        if (!(error instanceof TraceError)) throw error;
        return;
      }
  }

  close(): void {
    this.#open.clear();
    this.#trees.close();
  }

  /** Before the uses that follow, which are of names that hold now. */
  #tellNames(tree: RootRecording): void {
    const names = this.#trees.isOwn(tree) ? tree.nameChanges() : [];
    if (names.length === 0) return;
    const builder = new BatchBuilder();
    builder.names.push(...names);
    this.#commit([], builder);
  }

  /** What the store cannot take now waits for the next flush, as all else does: until memory is full. */
  #commit(effects: readonly SessionEffect[], builder?: BatchBuilder): void {
    const { pipe } = this.#options;
    try {
      pipe.commit(effects, builder);
    } catch (error) {
      if (!(error instanceof TraceError) || pipe.full) throw error;
    }
  }

  /** @param reason null: it never opened */
  async #finish(
    { id, rootId, recordingId }: OpenSession,
    reason: 'given' | 'broken' | null,
    builder?: BatchBuilder,
  ): Promise<void> {
    const atUs = nowUs();
    this.#open.delete(id);
    this.#release(rootId);
    this.#unstopped.set(recordingId, atUs);
    try {
      const effects = reason === null ? [] : [{ kind: 'closed', id, reason, atUs } as const];
      await this.#options.pipe.commitLast(effects, builder);
    } catch (error) {
      // It waits, even if memory is full: there is no one who could give it again.
      if (!(error instanceof TraceError)) throw error;
    }
    this.stopEnded();
  }

  #take(
    rows: readonly GivenRow[],
    at: { readonly given: Given; readonly tree: RootRecording; readonly builder: BatchBuilder },
  ): GivenCounts {
    const { given, tree, builder } = at;
    const foreign = foreignMounts(tree);
    const looked: Looked = new Map();
    const nowWallUs = this.#options.pipe.wall.nowUs;
    const skipped = { ...NO_COUNTS.skipped };
    let [found, missing] = [0, 0];
    const fileOf = (object: number): number =>
      tree.fileOf(object, this.#options.pipe.nextFileId, builder.files);
    for (const row of rows) {
      const { end, links } = walkPath(tree, row.path, { follow: row.follow, foreign, looked });
      const { count } = row;
      const firstUs = row.firstUs ?? row.lastUs ?? nowWallUs;
      const lastUs = Math.max(firstUs, row.lastUs ?? firstUs);
      const use = (
        object: number,
        what: Pick<AccessUpdate, 'operations' | 'bytes' | 'created'>,
      ): void =>
        builder.add({
          sessionId: given.session.id,
          fileId: fileOf(object),
          count,
          firstUs,
          lastUs,
          order: given.order,
          evidence: given.giver,
          state: tree.newsOf(object, { now: true }),
          ...what,
        });
      for (const link of links) use(link, { operations: READLINK, bytes: 0 });
      if (end.kind === 'found') {
        found += 1;
        const { bytes, created } = row;
        use(end.object, { operations: operationsOn(row.operations, end.mode), bytes, created });
      } else if (end.kind === 'missing') {
        missing += 1;
        // As a client's lookup is: the name of the directory is then the session's too.
        use(end.directory, { operations: LOOKUP, bytes: 0 });
        const directoryId = fileOf(end.directory);
        const sessionId = given.session.id;
        builder.missing.push({ sessionId, directoryId, name: end.name, count, firstUs, lastUs });
      } else skipped[end.why] += 1;
      given.order += 1;
    }
    given.noRoom += skipped['no-room'];
    return { found, missing, skipped };
  }

  #given(id: number): Given {
    const given = this.#open.get(id);
    if (given !== undefined) return given;
    throw new TraceError({
      code: 'ending',
      message: `session-${id} is not being given any more`,
      hint: 'the daemon ends',
      exit: 'unavailable',
    });
  }

  #treeOf({ path, session }: Given): Promise<RootRecording> {
    const { rootId, recordingId } = session;
    return this.#trees.of({ path, rootId, recordingId });
  }

  #release(rootId: number): void {
    if ([...this.#open.values()].some(({ session }) => session.rootId === rootId)) return;
    this.#trees.release(rootId);
  }
}

/** What these operations are on a thing of this type. */
function operationsOn(bits: number, mode: number): number {
  const type = mode & S_IFMT;
  if (bits === 0) return type === REGULAR ? READ : type === LINK ? READLINK : GETATTR;
  if ((bits & READ) === 0 || (type !== DIRECTORY && type !== LINK)) return bits;
  return (bits & ~READ) | (type === LINK ? READLINK : READDIR);
}

function lossOf(
  { where, count, detail }: GivenLoss,
  of: { session: OpenSession; fromUs: number; toUs: number },
): LossUpdate {
  const { session, fromUs, toUs } = of;
  const { id: sessionId, recordingId } = session;
  return { sessionId, recordingId, where, count, fromUs, toUs, detail };
}

/**
 * Sessions that were being given when the daemon was killed: nobody gives the rest. Before the store
 * is asked what goes on.
 */
export function endLeftOpen(store: Store): void {
  const left = store.openSessions().filter(({ evidence }) => isGiver(evidence.kind));
  const recordings = store.activeRecordings().filter(({ tier }) => isGiver(tier));
  if (left.length + recordings.length === 0) return;
  const fromUs = store.lastIngestUs() ?? 0;
  const toUs = Math.max(fromUs, Date.now() * 1000);
  const loss = { where: 'daemon-restart', count: 1, fromUs, toUs };
  const detail = 'the daemon ended while the session was given';
  store.ingest({
    atUs: fromUs,
    losses: left.map(({ id, recordingId }) => ({ ...loss, recordingId, sessionId: id, detail })),
    closed: left.map(({ id }) => ({ id, reason: 'broken', atUs: toUs })),
  });
  for (const { id } of recordings) store.stopRecording(id, toUs);
}

function isGiver(word: string): boolean {
  return (GIVERS as readonly string[]).includes(word);
}
