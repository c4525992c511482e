/**
 * Rows of the NFS server's trace become sightings: which object (by hash), which boot session.
 * Owns the treatment of hashes that nothing explains. Must not know SQL or fanotify.
 */
import type { BootSessions, SessionEffect } from '../attribution/boot-sessions.ts';
import { NFS4_ROOT_HASH } from '../attribution/handle.ts';
import { operationOf } from '../attribution/operations.ts';
import type { NfsBatch, NfsLookup, NfsMarker, NfsRow } from '../common/batches.ts';
import { TraceError } from '../common/errors.ts';
import { nowUs } from './clock.ts';
import { operationBit } from '../common/words.ts';
import type { BatchBuilder } from './batch-builder.ts';
import type { ExportTable } from './export-table.ts';
import { MissingLookups } from './missing-lookups.ts';
import type { RootRecording } from './root-recording.ts';
import type { WitnessBench } from './witness-bench.ts';

export interface NfsAttributorOptions {
  readonly roots: ReadonlyMap<number, RootRecording>;
  readonly exports: ExportTable;
  readonly sessions: BootSessions;
  readonly witnesses: WitnessBench;
  readonly nextFileId: () => number;
  /** Makes every root's index follow what fanotify has seen up to now. */
  readonly refreshNames: () => Promise<void>;
}

/** Unknown handles make the roots be walked again: at most this often, and this share of time. */
const LEAST_WALK_GAP_US = 5_000_000;
const WALK_SHARE = 20;
/** Bounds on what clients can make us keep. */
const MOST_HELD = 100_000;
const MOST_HOPELESS = 100_000;
const MOST_UNSIGNED = 200_000;
/** Held rows come before everything in the batch that they are taken up with. */
const BEFORE_ALL = -1;

interface Hit {
  readonly root: RootRecording;
  readonly object: number;
}

export class NfsAttributor {
  readonly #options: NfsAttributorOptions;
  readonly #missing: MissingLookups;
  /** Hashes that a whole new walk did not explain either; emptied when the exports change. */
  readonly #hopeless = new Set<number>();
  /** What was found in this batch: many clients use the same files. */
  readonly #found = new Map<number, readonly Hit[]>();
  /** Roots that are the NFSv4 server's own: a lookup there says nothing of a mount. */
  #serverRoots: ReadonlySet<RootRecording> = new Set();
  #exportsSeen = -1;
  /** Hash of a handle → hash of the same without a signature, if it has one. */
  readonly #unsigned = new Map<number, number>();
  /** Rows that wait for the next walk of the roots. */
  #held: readonly NfsRow[] = [];
  #nextWalkUs = 0;
  #unresolved = 0;
  #outside = 0;

  constructor(options: NfsAttributorOptions) {
    this.#options = options;
    this.#missing = new MissingLookups(options);
  }

  /** Calls whose file handle nothing explained, since start. */
  get unresolved(): number {
    return this.#unresolved;
  }

  /** Calls on other exports than the recorded roots, since start. */
  get outside(): number {
    return this.#outside;
  }

  /**
   * @param options.effects gets what the session machine did, also when this throws
   * @param options.whole nothing may be held back for a later walk of the roots
   */
  async attribute(
    batch: NfsBatch,
    options: {
      readonly builder: BatchBuilder;
      readonly effects: SessionEffect[];
      readonly toWall: (us: number) => number;
      readonly whole: boolean;
    },
  ): Promise<void> {
    const { effects } = options;
    this.#found.clear();
    this.#serverRoots = new Set(
      [...this.#options.roots.values()].filter((root) => root.isRootHash(NFS4_ROOT_HASH)),
    );
    for (const [hash, unsigned] of batch.unsigned ?? []) {
      if (this.#unsigned.size >= MOST_UNSIGNED) this.#unsigned.clear();
      this.#unsigned.set(hash, unsigned);
    }
    const held = this.#held.map((row) => ({ ...row, epoch: BEFORE_ALL }));
    // A refused call (verify-error) used nothing, and anybody can send handles of nothing; a call
    // without a client is counted as loss by the sensor already.
    const usable = batch.rows.filter(
      ({ kind, client }) => kind !== 'verify-error' && client !== '',
    );
    const rows = [...held, ...usable];
    const { lookups = [], lookupsDropped = [] } = batch;
    // A drain may fall between the check of a directory and the name that is looked up in it.
    if ([rows, batch.markers, lookups, lookupsDropped].every(({ length }) => length === 0)) return;
    // A boot in between would put held rows into the wrong session.
    const mustWalk = options.whole || batch.markers.length > 0 || rows.length > MOST_HELD;
    const open = await this.#explain({ ...batch, rows }, mustWalk);
    this.#held = rows.filter(({ hash }) => open.has(hash));
    const unknown: NfsRow[] = [];
    for (const item of inOrder(rows, batch.markers, lookups))
      if ('verifier' in item) this.#mark(item, effects);
      else if ('directory' in item) this.#lookup(item, options);
      else {
        if (isWalk(item)) this.#options.sessions.walked(item.client);
        if (!open.has(item.hash) && !this.#row(item, options, effects)) unknown.push(item);
      }
    for (const { client, count } of lookupsDropped)
      this.#missing.drop(client, count, options.builder);
    // Last, so that the session which its client's other calls have opened gets the loss.
    this.#noteUnknown(unknown, options);
  }

  /**
   * Makes sure that every hash that can be explained is, before anything is attributed. The
   * hashes that only a walk could explain, which must wait because the last one is too recent.
   */
  async #explain(batch: NfsBatch, mustWalk: boolean): Promise<ReadonlySet<number>> {
    const { exports, roots, refreshNames } = this.#options;
    const open = new Set(batch.rows.map((row) => row.hash));
    for (const { kind, hash } of batch.markers) if (kind === 'fsinfo') open.add(hash);
    const drop = (): boolean => {
      // The index may have come to know more.
      this.#found.clear();
      for (const hash of open)
        if (this.#hits(hash).length > 0 || this.#hopeless.has(hash) || this.#isOutside(hash))
          open.delete(hash);
      return open.size === 0;
    };
    this.#forgetHopeless();
    if (drop()) return open;
    await exports.refresh();
    this.#forgetHopeless();
    if (drop()) return open;
    try {
      await refreshNames();
    } catch (error) {
      // Events that come late (`fanotify-sync-timeout`) leave the walk, which needs none.
      if (!(error instanceof TraceError)) throw error;
    }
    if (drop()) return open;
    const began = nowUs();
    if (!mustWalk && began < this.#nextWalkUs) return open;
    // One tree that can't be listed now must not keep the others from being looked at.
    for (const root of roots.values()) await unlessRefused(() => root.rewalk());
    if (!drop()) await unlessRefused(() => exports.walkOutside());
    const ended = nowUs();
    this.#nextWalkUs = ended + Math.max(LEAST_WALK_GAP_US, WALK_SHARE * (ended - began));
    if (drop()) return open;
    // A bound, so that no client can make this grow: what is not remembered is looked for again.
    for (const hash of open) if (this.#hopeless.size < MOST_HOPELESS) this.#hopeless.add(hash);
    open.clear();
    return open;
  }

  /** What was hopeless may be explained by an export or a file system that is new. */
  #forgetHopeless(): void {
    const { generation } = this.#options.exports;
    if (generation !== this.#exportsSeen) this.#hopeless.clear();
    this.#exportsSeen = generation;
  }

  #hits(hash: number): readonly Hit[] {
    const direct = this.#hitsOf(hash);
    const plain = direct.length > 0 ? undefined : this.#unsigned.get(hash);
    return plain === undefined ? direct : this.#hitsOf(plain);
  }

  #hitsOf(hash: number): readonly Hit[] {
    const known = this.#found.get(hash);
    if (known !== undefined) return known;
    const hits: Hit[] = [];
    for (const root of this.#options.roots.values())
      for (const object of root.objectsOfHash(hash)) hits.push({ root, object });
    if (hits.length > 0) this.#found.set(hash, hits);
    return hits;
  }

  /** Of hits in several roots those that the client can have meant. */
  #reached({ client }: NfsRow, hits: readonly Hit[]): readonly Hit[] {
    if (hits.length === 1 || hits.every(({ root }) => root === hits[0]?.root)) return hits;
    const reached = hits.filter(({ root }) => this.#options.exports.reaches(client, root));
    return reached.length > 0 ? reached : hits;
  }

  /** For every root that has the file, as file events come for every root: not all are its key's. */
  #witness({ firstUs, bytes }: NfsRow, hits: readonly Hit[]): void {
    const { roots, witnesses } = this.#options;
    const note = (root: RootRecording, object: number): void =>
      // A READ that moves nothing may make a file event: nfsd makes one for an empty file (6.1).
      witnesses.trace(root, object, bytes === 0 || firstUs < root.watchedSinceUs(object));
    for (const { root, object } of hits) note(root, object);
    if (roots.size < 2) return;
    for (const other of roots.values()) {
      if (hits.some(({ root }) => root === other)) continue;
      for (const { root, object } of hits) {
        const same = other.find(root.whereIs(object));
        if (same >= 0) note(other, same);
      }
    }
  }

  #isOutside(hash: number): boolean {
    const { exports } = this.#options;
    const plain = this.#unsigned.get(hash);
    return exports.isOutside(hash) || (plain !== undefined && exports.isOutside(plain));
  }

  #mark(marker: NfsMarker, effects: SessionEffect[]): void {
    const { sessions, roots, exports } = this.#options;
    // Strangers must not fill what is remembered of clients. Events with an id alone are anybody's.
    const wanted = [...roots.values()].some(({ options }) =>
      options.clients.accepts(marker.client),
    );
    if (marker.client !== '' && roots.size > 0 && !wanted) return;
    // Without a hash (tier `reads`) nobody knows which root it was.
    if (marker.kind !== 'fsinfo' || marker.hash === 0) {
      effects.push(...sessions.marker(marker, null));
      return;
    }
    for (const [rootId, root] of roots)
      if (
        (root.isRootHash(marker.hash) || exports.holds(marker.hash, root.path)) &&
        exports.reaches(marker.client, root)
      )
        effects.push(...sessions.marker(marker, rootId));
  }

  #lookup(
    lookup: NfsLookup,
    options: Parameters<MissingLookups['lookup']>[1] & { readonly whole: boolean },
  ): void {
    if (lookup.client === '' || this.#missing.lookup(lookup, options)) return;
    const directory = this.#unsigned.get(lookup.directory);
    if (directory !== undefined && this.#missing.lookup({ ...lookup, directory }, options)) return;
    // The check of the directory is a loss, or waits; the name is not kept for that long.
    if (!this.#isOutside(lookup.directory))
      this.#missing.drop(lookup.client, lookup.count, options.builder);
  }

  /** False if nothing explains the row's hash. */
  #row(
    row: NfsRow,
    { builder, toWall }: { builder: BatchBuilder; toWall: (us: number) => number },
    effects: SessionEffect[],
  ): boolean {
    const all = this.#hits(row.hash);
    if (all.length === 0) return false;
    if (row.kind === 'read') this.#witness(row, all);
    const hits = this.#reached(row, all);
    for (const { root, object } of hits) {
      const { rootId, recordingId, clients } = root.options;
      if (!clients.accepts(row.client)) continue;
      const fileId = root.fileOf(object, this.#options.nextFileId, builder.files);
      const { sessionId, effects: opened } = this.#options.sessions.access({
        client: row.client,
        rootId,
        recordingId,
        firstUs: row.firstUs,
        lastUs: row.lastUs,
        readsInit: row.kind === 'read' && row.minOffset === 0 && root.isInit(object),
        checked: row.kind === 'verify' && !this.#serverRoots.has(root),
      });
      for (const effect of opened) effects.push(effect);
      if (sessionId === null) {
        const [firstUs, lastUs] = [toWall(row.firstUs), toWall(row.lastUs)];
        builder.refuse(recordingId, { count: row.count, firstUs, lastUs });
        continue;
      }
      builder.add({
        sessionId,
        fileId,
        operations: operationBit(operationOf(row)),
        count: row.count,
        bytes: row.bytes,
        firstUs: toWall(row.firstUs),
        lastUs: toWall(row.lastUs),
        order: row.order,
        evidence: 'nfsd',
        created: root.isCreated(object),
        state: root.newsOf(object),
      });
    }
    return true;
  }

  /** One loss for each session, however many handles its client made up. */
  #noteUnknown(
    rows: readonly NfsRow[],
    { builder, toWall }: { builder: BatchBuilder; toWall: (us: number) => number },
  ): void {
    const ofClient = new Map<string, Unknown>();
    for (const { client, hash, count, firstUs, lastUs } of rows) {
      if (this.#isOutside(hash)) {
        this.#outside += count;
        continue;
      }
      this.#unresolved += count;
      let unknown = ofClient.get(client);
      if (unknown === undefined)
        ofClient.set(client, (unknown = { hashes: new Set(), count: 0, firstUs, lastUs }));
      unknown.hashes.add(hash);
      unknown.count += count;
      unknown.firstUs = Math.min(unknown.firstUs, firstUs);
      unknown.lastUs = Math.max(unknown.lastUs, lastUs);
    }
    if (ofClient.size === 0) return;
    for (const { id, recordingId, client } of this.#options.sessions.open) {
      const unknown = ofClient.get(client);
      if (unknown === undefined) continue;
      builder.losses.push({
        recordingId,
        sessionId: id,
        where: 'unresolved-handle',
        count: unknown.count,
        fromUs: toWall(unknown.firstUs),
        toUs: toWall(unknown.lastUs),
        detail: detailOf(unknown.hashes),
      });
    }
  }
}

/** A name is looked up in the NFSv4 server's root. */
function isWalk(row: NfsRow): boolean {
  return row.hash === NFS4_ROOT_HASH && row.kind === 'verify' && operationOf(row) === 'lookup';
}

interface Unknown {
  readonly hashes: Set<number>;
  count: number;
  firstUs: number;
  lastUs: number;
}

const SHOWN_HASHES = 5;

function detailOf(hashes: ReadonlySet<number>): string {
  const shown = [...hashes]
    .sort((a, b) => a - b)
    .slice(0, SHOWN_HASHES)
    .map((hash) => `0x${hash.toString(16).padStart(8, '0')}`);
  const more = hashes.size - shown.length;
  return `NFS file handle with hash ${shown.join(', ')}` + (more > 0 ? ` and ${more} others` : '');
}

/** A walk that is refused explains nothing: what it would have named becomes loss. */
async function unlessRefused(walk: () => Promise<void>): Promise<void> {
  try {
    await walk();
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
  }
}

/** Markers open the epoch they carry; within an epoch rows come by first event. */
function inOrder(
  rows: readonly NfsRow[],
  markers: readonly NfsMarker[],
  lookups: readonly NfsLookup[],
): (NfsRow | NfsMarker | NfsLookup)[] {
  const orderOf = (entry: NfsRow | NfsMarker | NfsLookup) => ('order' in entry ? entry.order : -1);
  return [...markers, ...rows, ...lookups].sort(
    (a, b) => a.epoch - b.epoch || orderOf(a) - orderOf(b),
  );
}
