/**
 * What can still be known after a loss: which files of the root were accessed meanwhile, by their
 * access times, and what the names are now. Owns which losses a look can help, how often it may
 * look, and the rule whose an access time may be. Must not know where losses come from.
 *
 * An access time is weak evidence. It is of anybody on the server or on the network, `relatime`
 * keeps only the first one a day, `noatime` none, and only the last one is there at all.
 */
import { TraceError } from '../common/errors.ts';
import { operationBit } from '../common/words.ts';
import type { LossUpdate } from '../store/types.ts';
import type { BatchBuilder } from './batch-builder.ts';
import { compareBytes } from '../common/bytes.ts';
import { nowUs, wallOffsetUs } from './clock.ts';
import { connectedClients } from './connected-clients.ts';
import { UNATTRIBUTED } from './file-attributor.ts';
import type { RootRecording } from './root-recording.ts';
import type { SessionSpan, SessionSpans } from './session-spans.ts';
import type { AccessTime } from './volumes.ts';
import type { WallClock } from './wall-clock.ts';

/** Losses of what clients did; the trace of the kernel's server is their record where there is one. */
const OF_TRACE = new Set([
  'trace-ring',
  'trace-table',
  'trace-cpu',
  'trace-join',
  'trace-handle',
  'trace-probe',
  'witness-trace',
]);
/** Losses of file events. */
const OF_FILES = new Set([
  'fanotify-queue',
  'fanotify-table',
  'fanotify-watch',
  'fanotify-read',
  'fanotify-malformed',
  // The trace knows of a read that no file event tells of: others may be missing too.
  'witness-fanotify',
]);
const OF_BOTH = new Set([
  'attribution',
  'writer',
  'refused-batch',
  'daemon-restart',
  'root-absent',
]);
const HELPED = new Set([...OF_TRACE, ...OF_FILES, ...OF_BOTH]);

/** Looking may take this share of the time. */
const SHARE = 20;
/** The kernel stamps files with the time of its last tick. */
const TICK_US = 10_000;

export interface RescanOptions {
  readonly roots: ReadonlyMap<number, RootRecording>;
  readonly spans: SessionSpans;
  readonly wall: Pick<WallClock, 'toWall' | 'toMonotonic'>;
  /** Batches that the store has not taken: what it says of a session is not all. */
  readonly waiting: () => number;
  readonly serverPorts: () => readonly number[];
  /** Addresses that have asked the kernel's server lately. */
  readonly knownClients: () => Iterable<string>;
  readonly nextFileId: () => number;
  /** Files that a session has already. */
  readonly filesOf: (sessionId: number) => ReadonlySet<number>;
}

/** Monotonic. */
interface Span {
  readonly fromUs: number;
  readonly toUs: number;
}

/** A span that waits for its look, and the place of the loss that it is about. */
type Late = Span & { readonly where: string };

export class Rescan {
  readonly #options: RescanOptions;
  /** By root: what could not be looked at yet. */
  readonly #waiting = new Map<RootRecording, Late>();
  #nextUs = 0;

  constructor(options: RescanOptions) {
    this.#options = options;
  }

  forget(root: RootRecording): void {
    this.#waiting.delete(root);
  }

  /**
   * Looks for what the losses of a flush may have hidden: adds it to the builder, and says in the
   * detail of each loss what was found. While the store takes nothing it only notes what to look
   * for: what was found would fill the memory that is short then, and be found again.
   * @param options.whole look also if the last look was only just now
   * @param options.traced is the kernel server's trace the record of its clients?
   */
  async apply(
    builder: BatchBuilder,
    options: { readonly whole: boolean; readonly traced: boolean },
  ): Promise<void> {
    builder.losses = builder.losses.flatMap((loss) => this.#ofRoots(loss));
    const helped = builder.losses.filter(({ where }) => HELPED.has(where));
    if (helped.length === 0 && this.#waiting.size === 0) return;
    const began = nowUs();
    const early = this.#options.waiting() > 0 || (!options.whole && began < this.#nextUs);
    for (const root of this.#options.roots.values()) {
      const mine = helped.filter(({ recordingId }) => recordingId === root.options.recordingId);
      const late = this.#waiting.get(root);
      const all = [...mine.map((loss) => this.#late(loss)), ...(late === undefined ? [] : [late])];
      const [first] = all;
      if (first === undefined || (early && mine.length === 0)) continue;
      const span = { ...unite(all), where: first.where };
      if (early) {
        this.#waiting.set(root, span);
        annotate(builder, mine, 'what can be known of that time is looked for later');
        continue;
      }
      this.#waiting.delete(root);
      const text = await this.#look(root, span, {
        builder,
        names: all.some(({ where }) => !OF_TRACE.has(where)),
        accesses: all.some(({ where }) => !options.traced || !OF_FILES.has(where)),
        traced: options.traced,
      });
      if (mine.length > 0) annotate(builder, mine, text);
      else builder.losses.push(this.#afterwards(root, span, text));
    }
    if (!early) this.#nextUs = nowUs() + SHARE * (nowUs() - began);
  }

  /** What was found, in words. */
  async #look(
    root: RootRecording,
    { fromUs, toUs }: Span,
    options: {
      readonly builder: BatchBuilder;
      /** Names may have changed unseen. */
      readonly names: boolean;
      /** Accesses may be missing: not where only file events were lost beside a whole trace. */
      readonly accesses: boolean;
      readonly traced: boolean;
    },
  ): Promise<string> {
    const { builder, traced } = options;
    const names = options.names ? 'names were read anew' : '';
    let found: readonly AccessTime[];
    try {
      // Not what was listed since: a root that is taken up again has just been.
      if (options.names) await root.rewalk(this.#options.wall.toMonotonic(toUs));
      if (!options.accesses) return names;
      // Access times are of the clock as it is now, however the recording's own has been set.
      const offsetUs = wallOffsetUs();
      found = (await root.accessedBetween(fromUs - TICK_US + offsetUs, toUs + offsetUs)).map(
        (time) => ({ ...time, atUs: time.atUs - offsetUs }),
      );
    } catch (error) {
      if (!(error instanceof TraceError)) throw error;
      return `the root could not be looked at: ${error.message}`;
    }
    const said = names === '' ? '' : `${names}; `;
    if (found.length === 0) return `${said}no file has an access time in that time`;
    const text = `${said}${count(found.length, 'file has an access time', 'files have access times')} in that time`;
    const sessions = this.#options.spans.during(root.options.recordingId, fromUs, toUs);
    const [only] = sessions;
    const others = only === undefined ? 0 : this.#others(root, only, traced);
    if (only === undefined) return `${text}; no session was open`;
    if (sessions.length > 1) return `${text}; ${sessions.length} sessions were open`;
    if (others > 0)
      return `${text}; besides session-${only.id}, ${count(others, 'other client', 'other clients')} may have made them`;
    const { recordingId } = root.options;
    if (!this.#options.spans.remembers(recordingId, fromUs))
      return `${text}; too long ago to know whether session-${only.id} alone was open`;
    const had = this.#options.filesOf(only.id);
    const news = found
      .filter(({ object }) => {
        const file = root.knownFileOf(object);
        return file === undefined || !(had.has(file) || builder.has(only.id, file));
      })
      .sort(
        (a, b) => a.atUs - b.atUs || compareBytes(root.pathOf(a.object), root.pathOf(b.object)),
      );
    const { toWall } = this.#options.wall;
    for (const [order, { object, atUs, link }] of news.entries())
      builder.add({
        sessionId: only.id,
        fileId: root.fileOf(object, this.#options.nextFileId, builder.files),
        operations: operationBit(link ? 'readlink' : 'read'),
        count: 1,
        bytes: 0,
        firstUs: toWall(atUs),
        lastUs: toWall(atUs),
        order,
        evidence: 'atime',
        state: root.newsOf(object),
      });
    return `${text}, ${news.length} of them new to session-${only.id}, which has them with evidence atime`;
  }

  /** Clients besides the session's own that may have read the root. */
  #others(root: RootRecording, { client }: SessionSpan, traced: boolean): number {
    const { clients } = root.options;
    const seen = new Set(connectedClients(new Set(this.#options.serverPorts())));
    if (traced) for (const address of this.#options.knownClients()) seen.add(address);
    seen.delete(client.split('%', 1)[0] ?? client);
    // Without a trace an access is the session's by the same rule as everything in it.
    if (client === UNATTRIBUTED || (!traced && clients.single === client)) return 0;
    // Others were not recorded at all: nobody knows how many there were.
    if (!clients.all && clients.single === null) return Math.max(1, seen.size);
    return seen.size;
  }

  /** A loss of everything, as one for each root that was recorded then. */
  #ofRoots(loss: LossUpdate): LossUpdate[] {
    const { sessionId } = loss;
    if (loss.recordingId !== null) return [loss];
    if (sessionId !== null)
      return [{ ...loss, recordingId: this.#options.spans.recordingOf(sessionId) }];
    const { toWall } = this.#options.wall;
    const roots = [...this.#options.roots.values()].filter(
      ({ options }) => toWall(options.startedUs) <= loss.toUs,
    );
    if (roots.length === 0) return [loss];
    return roots.map(({ options }) => ({ ...loss, recordingId: options.recordingId }));
  }

  #late({ where, fromUs, toUs }: LossUpdate): Late {
    const { toMonotonic } = this.#options.wall;
    return { where, fromUs: toMonotonic(fromUs), toUs: toMonotonic(toUs) };
  }

  /** The loss itself was told then: this row only says what was done. */
  #afterwards({ options }: RootRecording, { where, fromUs, toUs }: Late, detail: string) {
    const { toWall } = this.#options.wall;
    return {
      recordingId: options.recordingId,
      sessionId: null,
      where,
      count: 0,
      fromUs: toWall(fromUs),
      toUs: toWall(toUs),
      detail,
    };
  }
}

function unite(spans: readonly Span[]): Span {
  return {
    fromUs: spans.reduce((least, { fromUs }) => Math.min(least, fromUs), Infinity),
    toUs: spans.reduce((most, { toUs }) => Math.max(most, toUs), -Infinity),
  };
}

/** Adds what was found to the losses that it is about. */
function annotate(builder: BatchBuilder, losses: readonly LossUpdate[], text: string): void {
  const mine = new Set(losses);
  builder.losses = builder.losses.map((loss) => {
    if (!mine.has(loss)) return loss;
    const before = loss.detail ?? '';
    return { ...loss, detail: before === '' ? text : `${before}\n${text}` };
  });
}

function count(number: number, one: string, several: string): string {
  return `${number} ${number === 1 ? one : several}`;
}
