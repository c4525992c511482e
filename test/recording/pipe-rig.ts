/**
 * A pipe with a real store, and sensors and a root that do as they are told. Owns them, the clocks
 * of this process while it lives, and the folder of the store.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileEvent, LossCount, NfsMarker, NfsRow } from '../../src/common/batches.ts';
import { TraceError } from '../../src/common/errors.ts';
import { monotonicUs } from '../../src/fanotify-ts/system.ts';
import { ClientFilter } from '../../src/recording/client-filter.ts';
import { nowUs, useClock } from '../../src/recording/clock.ts';
import type { ExportTable } from '../../src/recording/export-table.ts';
import { Pipe } from '../../src/recording/pipe.ts';
import type { RootRecording } from '../../src/recording/root-recording.ts';
import type { Sensors } from '../../src/recording/sensors.ts';
import type { AccessTime } from '../../src/recording/volumes.ts';
import { Store } from '../../src/store/store.ts';
import type { IngestBatch, NameChange, NewFile } from '../../src/store/types.ts';

export const CLIENT = '10.0.0.7';
/** The hash of an object whose file cannot be looked at. */
export const BROKEN = 3;

export function row(hash: number, more: Partial<NfsRow> = {}): NfsRow {
  const at = nowUs();
  return {
    epoch: 0,
    client: CLIENT,
    hash,
    kind: 'verify',
    type: 0,
    access: 0,
    count: 2,
    bytes: 0,
    minOffset: 0,
    firstUs: at,
    lastUs: at,
    order: hash,
    ...more,
  };
}

const DISK_FULL = new TraceError({ code: 'database-full', message: 'no room left', exit: 'io' });

export class PipeRig {
  readonly store: Store;
  readonly pipe: Pipe;
  readonly rootId: number;
  readonly recordingId: number;
  readonly notices: string[] = [];
  /** What the sensors give next, once. */
  rows: readonly NfsRow[] = [];
  markers: readonly NfsMarker[] = [];
  events: readonly FileEvent[] = [];
  losses: readonly LossCount[] = [];
  names: readonly NameChange[] = [];
  accessTimes: readonly AccessTime[] = [];
  /** How often the root was asked for names, access times, and walked. */
  readonly asked = { names: 0, accesses: 0, walks: 0 };
  /** Without the trace, clients are known by file events alone. */
  traced = true;
  /** So far behind the sensors are, microseconds. */
  readonly behindUs = { files: 0, trace: 0 };
  sync: () => Promise<void> = () => Promise.resolve();
  syncs = 0;
  /** The root knows no object by its number any more. */
  gone = false;
  /** The store refuses everything. */
  diskFull = false;
  /** A row that the store refuses. */
  refuses: (batch: IngestBatch) => boolean = () => false;
  readonly #folder = mkdtempSync(join(tmpdir(), 'pipe-'));
  #wallStepUs = 0;
  #laterUs = 0;

  constructor(options: { readonly pendingBytes?: number } = {}) {
    useClock({
      monotonicUs: () => monotonicUs() + this.#laterUs,
      wallMs: () => Date.now() + (this.#laterUs + this.#wallStepUs) / 1000,
    });
    this.store = Store.open({ path: join(this.#folder, 'trace.db') });
    this.rootId = this.store.ensureRoot(Buffer.from('/root'));
    this.recordingId = this.store.startRecording({
      rootId: this.rootId,
      label: null,
      clients: [],
      tier: 'exact',
      atUs: Date.now() * 1000,
    });
    const ingest = this.store.ingest.bind(this.store);
    this.store.ingest = (batch) => {
      if (this.diskFull) throw DISK_FULL;
      if (this.refuses(batch)) throw new Error('a constraint failed');
      ingest(batch);
    };
    const exports = {
      isOutside: () => false,
      reaches: () => true,
      clients: () => [],
      refresh: () => Promise.resolve(false),
    };
    this.pipe = new Pipe({
      store: this.store,
      sensors: this.#sensors(),
      roots: new Map([[this.rootId, this.#root()]]),
      exports: exports as unknown as ExportTable,
      quietUs: 3_600_000_000,
      serverPorts: [],
      pendingBytes: options.pendingBytes,
      onNotice: ({ text }) => this.notices.push(text),
    });
  }

  /** The wall clock is set. */
  step(us: number): void {
    this.#wallStepUs += us;
  }

  /** Time passes, for both clocks. */
  pass(us: number): void {
    this.#laterUs += us;
  }

  close(): void {
    this.store.close();
    rmSync(this.#folder, { recursive: true });
    useClock(null);
  }

  #sensors(): Sensors {
    const sync = (): Promise<void> => {
      this.syncs += 1;
      return this.sync();
    };
    const isTraced = (): boolean => this.traced;
    const sensors = {
      tier: 'exact',
      get traced(): boolean {
        return isTraced();
      },
      sync,
      syncFiles: sync,
      drainTrace: () => {
        const { rows, markers, losses } = this;
        [this.rows, this.markers, this.losses] = [[], [], []];
        return { rows, markers, losses, untilUs: nowUs() - this.behindUs.trace };
      },
      drainFiles: () => {
        const { events } = this;
        this.events = [];
        return { events, losses: [], untilUs: nowUs() - this.behindUs.files };
      },
    };
    return sensors as unknown as Sensors;
  }

  #root(): RootRecording {
    const { rootId, recordingId } = this;
    const files = new Map<number, number>();
    const root = {
      options: { rootId, recordingId, clients: new ClientFilter([]), startedUs: nowUs() },
      objectsOfHash: (hash: number) => [hash],
      objectOfEvent: ({ count }: FileEvent) => count,
      pathOf: (object: number) => {
        if (this.gone) throw new RangeError('no object has this id');
        return Buffer.from(`path ${object}`);
      },
      isInit: () => false,
      isCreated: () => false,
      isDirectory: () => false,
      isRootHash: () => true,
      followNames: () => undefined,
      nameChanges: () => {
        this.asked.names += 1;
        const { names } = this;
        this.names = [];
        return names;
      },
      rewalk: () => {
        this.asked.walks += 1;
        return Promise.resolve();
      },
      accessedBetween: (fromUs: number, toUs: number) => {
        this.asked.accesses += 1;
        const within = this.accessTimes.filter(({ atUs }) => atUs >= fromUs && atUs <= toUs);
        return Promise.resolve(within);
      },
      takeLeftOut: () => 0,
      newMounts: () => [],
      watchedSinceUs: () => 0,
      newsOf: () => undefined,
      takeRecalled: () => false,
      knownFileOf: (object: number) => files.get(object),
      fileOf: (object: number, nextId: () => number, added: NewFile[]) => {
        if (object === BROKEN) throw new Error('it broke');
        const known = files.get(object);
        if (known !== undefined) return known;
        const id = nextId();
        files.set(object, id);
        const handle = { type: 1, bytes: Buffer.from([object]) };
        const zeros = { dev: 0, mode: 0, uid: 0, gid: 0, size: 0, nlink: 1 };
        added.push({ id, rootId, handle, inode: 0n, mtimeNs: 0n, names: [], ...zeros });
        return id;
      },
    };
    return root as unknown as RootRecording;
  }
}
