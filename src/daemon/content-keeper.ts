/**
 * Keeps content for those who ask for it, and by itself when a session ends whose recording was
 * started so: one snapshot at a time, beside the recording. Owns those turns, and what is noted with
 * sessions. Must not know what is in a snapshot.
 */
import type { Logger } from 'pino';
import { jsonPath } from '../common/bytes.ts';
import { Blobs } from '../content/blobs.ts';
import { ContentFolder } from '../content/content-folder.ts';
import { type Kept, keepContent } from '../content/keep-content.ts';
import type { SnapshotHead } from '../content/snapshot-file.ts';
import { checkExpression, Snapshots } from '../content/snapshots.ts';
import { blobsOf, checkContent, pruneBlobs } from '../content/tidy.ts';
import { NativeTree } from '../fanotify-ts/tree.ts';
import { Turns } from '../recording/turns.ts';
import { evaluate, namedFiles, type SessionSet } from '../sessions/evaluate.ts';
import { formatExpression, parseExpression, sessionsIn } from '../sessions/expression.ts';
import type { Store } from '../store/store.ts';
import type {
  CheckedBody,
  ContentBody,
  KeepingBody,
  KeepRequestBody,
  KeptBody,
  PrunedBody,
  SnapshotBody,
} from './content-api.ts';
import { driftReport } from './image-report.ts';
import { sweptFiles } from './swept-files.ts';

export interface ContentKeeperOptions {
  readonly store: Store;
  readonly path: string;
  readonly maxBytes: number;
  /** Of this program. */
  readonly version: string;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
}

export class ContentKeeper {
  readonly path: string;
  readonly #options: ContentKeeperOptions;
  readonly #turns = new Turns();
  /** The session that is kept by itself now. */
  #working: Promise<void> | null = null;
  /** Sessions with smaller numbers have been seen to. */
  #from = 0;
  /** Seen to, whether or not that could be noted. */
  readonly #done = new Set<number>();
  readonly #counts = { waiting: 0, kept: 0, failed: 0 };
  #lastFailure: string | null = null;

  constructor(options: ContentKeeperOptions) {
    this.#options = options;
    this.path = options.path;
  }

  status(): KeepingBody {
    return { ...this.#counts, last_failure: this.#lastFailure };
  }

  keep({ expression, ...choices }: KeepRequestBody): Promise<KeptBody> {
    const { store } = this.#options;
    return this.#turns.take(async () => {
      const set = evaluate(parseExpression(expression), store);
      const { head, added, drift } = await this.#snapshot(set, choices);
      const open = set.open.map((id) => `session-${id}`);
      return { ...bodyOf(head), added, drift: driftReport(drift), open };
    });
  }

  /** Waits for nobody's turn. */
  async list(): Promise<ContentBody> {
    const folder = ContentFolder.find(this.path);
    const count = folder === null ? { blobs: 0, bytes: 0 } : await new Blobs(folder).count();
    const kept = folder === null ? [] : await new Snapshots(folder).list();
    return {
      folder: this.path,
      max_bytes: this.#options.maxBytes,
      ...count,
      snapshots: kept.map(({ expression, head }) =>
        head === null ? { snapshot: expression, damaged: true } : bodyOf(head),
      ),
    };
  }

  /** Lets go of one snapshot, and of what only that one referred to. */
  remove(text: string): Promise<PrunedBody> {
    return this.#turns.take(async () => {
      const folder = ContentFolder.claim(this.path);
      const expression = formatExpression(parseExpression(text));
      checkExpression(expression);
      const own = await blobsOf(folder, expression);
      await new Snapshots(folder).remove(expression);
      this.#note(expression, 'content-kept', { files: 0, detail: 'removed since' });
      return { snapshots: [expression], ...(await pruneBlobs(folder, own)) };
    });
  }

  /** Lets go of snapshots of sessions that are gone, and of all that none refers to. */
  prune(): Promise<PrunedBody> {
    return this.#turns.take(async () => {
      const folder = ContentFolder.claim(this.path);
      const snapshots = new Snapshots(folder);
      const gone = (await snapshots.names()).filter((expression) =>
        sessionsIn(parseExpression(expression)).some(
          (id) => this.#options.store.session(id) === undefined,
        ),
      );
      for (const expression of gone) await snapshots.remove(expression);
      return { snapshots: gone, ...(await pruneBlobs(folder)) };
    });
  }

  check(): Promise<CheckedBody> {
    return this.#turns.take(async () => {
      const { snapshots, ...counts } = await checkContent(ContentFolder.claim(this.path));
      const rows = snapshots.map(({ expression, sound, missing }) => ({
        snapshot: expression,
        damaged: !sound,
        missing,
      }));
      return { ...counts, snapshots: rows };
    });
  }

  /** Looks, after a flush, for sessions that have ended and are to be kept; returns at once. */
  look(): void {
    const { store, signal } = this.#options;
    if (signal.aborted) return;
    const rows = store.sessionsToKeep(this.#from).filter(({ id }) => !this.#done.has(id));
    this.#from = rows[0]?.id ?? store.nextIds().session;
    const ended = rows.filter(({ open }) => !open);
    this.#counts.waiting = ended.length;
    const [next] = ended;
    if (next === undefined || this.#working !== null) return;
    this.#working = this.#keepByItself(next.id).finally(() => (this.#working = null));
  }

  /** Waits for what is under way, which its signal has ended. */
  async stop(): Promise<void> {
    await this.#working;
    await this.#turns.take(() => Promise.resolve());
  }

  async #keepByItself(id: number): Promise<void> {
    const { log, signal } = this.#options;
    const expression = `session-${id}`;
    try {
      const { files, bytes } = await this.keep({ expression, rules: [] });
      this.#counts.kept++;
      log.info(`content kept for ${expression}: ${files} files, ${bytes} bytes`);
    } catch (error) {
      // The next daemon begins anew.
      if (signal.aborted) return;
      this.#lastFailure = `${expression}: ${(error as Error).message}`;
      this.#counts.failed++;
      log.warn(`content not kept for ${this.#lastFailure}`);
      const { message: detail } = error as Error;
      this.#note(expression, 'content-failed', { files: 0, detail });
    }
    this.#done.add(id);
  }

  async #snapshot(set: SessionSet, choices: Omit<KeepRequestBody, 'expression'>): Promise<Kept> {
    const { store, maxBytes, version, signal } = this.#options;
    const { expression, root, objects } = set;
    checkExpression(expression);
    const folder = ContentFolder.claim(this.path);
    const tree = NativeTree.open(root, { mounts: store.mounts(root) });
    try {
      // As an export does: what only a sweep touched may be the whole root.
      const { sweepOf } = sweptFiles(set, (id) => store.files(id), tree);
      const files = namedFiles(objects, sweepOf);
      const request = { folder, maxBytes, expression, files, ...choices, tree, version, signal };
      const kept = await keepContent(request);
      const { length } = kept.drift;
      const drifted = length === 0 ? '' : `, ${length} objects not as recorded`;
      const detail = `${kept.head.files} files, ${kept.head.bytes} bytes${drifted}`;
      this.#note(expression, 'content-kept', { files: kept.head.files, detail });
      return kept;
    } finally {
      tree.close();
    }
  }

  /**
   * With the session that the expression is, if it is one and has ended: what is kept of an open one
   * is not all of it. What cannot be noted is logged.
   */
  #note(
    expression: string,
    kind: 'content-kept' | 'content-failed',
    { files, detail }: { readonly files: number; readonly detail: string },
  ): void {
    const { store, log } = this.#options;
    const parsed = parseExpression(expression);
    if (parsed.kind !== 'session') return;
    try {
      if (store.session(parsed.id)?.closedUs == null) return;
      const atUs = Date.now() * 1000;
      store.noteContent({ sessionId: parsed.id, kind, atUs, count: files, detail });
    } catch (error) {
      log.warn(`cannot note that in the database: ${(error as Error).message}`);
    }
  }
}

function bodyOf({ expression, root, atUs, objects, files, bytes }: SnapshotHead): SnapshotBody {
  return {
    snapshot: expression,
    root: jsonPath(Buffer.from(root, 'base64')),
    at: new Date(atUs / 1000).toISOString(),
    objects,
    files,
    bytes,
  };
}
