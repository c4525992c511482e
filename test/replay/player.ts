/**
 * Plays recorded batches through the real recorder, pipe, attribution and store, and tells what
 * came out in a form that does not depend on the numbers given on the way. Owns the replay's clock
 * and a database in a folder of its own.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { endianness, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReplaySensors, type Piece } from '../../src/capture/replay-source.ts';
import { ReplayedIndex } from '../../src/capture/replayed-index.ts';
import type { FileBatch, NfsBatch } from '../../src/common/batches.ts';
import { operationsOf } from '../../src/common/words.ts';
import { useClock } from '../../src/recording/clock.ts';
import { Recorder } from '../../src/recording/recorder.ts';
import { Store } from '../../src/store/store.ts';
import type { Recorded } from './fixture.ts';

/** The wall clock that goes with monotonic time 0. */
const WALL_US = 1_700_000_000_000_000;

export interface Plan {
  readonly trace: readonly Piece<NfsBatch>[];
  readonly files: readonly Piece<FileBatch>[];
  /** Flushes, ascending; one more follows at the end. `whole`: as a mark or a stop wants it. */
  readonly flushes: readonly { readonly atUs: number; readonly whole: boolean }[];
  readonly again?: () => boolean;
}

export interface PlayedFile {
  readonly handle: string;
  readonly names: readonly string[];
  readonly operations: readonly string[];
  readonly created: boolean;
  readonly count: number;
  readonly bytes: number;
  readonly firstUs: number;
  readonly lastUs: number;
}

export interface PlayedSession {
  readonly client: string;
  readonly evidence: unknown;
  readonly partial: boolean;
  readonly openedUs: number;
  readonly lastUs: number;
  readonly closed: string | null;
  readonly tier: string;
  readonly files: readonly PlayedFile[];
}

export interface Played {
  readonly sessions: readonly PlayedSession[];
  /** Place, count. */
  readonly losses: readonly string[];
  /** Every name that still holds, by handle. */
  readonly names: readonly string[];
}

/** As it was drained. */
export function asRecorded({ trace, files, filesFlushedUs }: Recorded): Plan {
  const times = [...trace.map(({ untilUs }) => untilUs), ...filesFlushedUs];
  const piece = <T>(batch: T, atUs: number): Piece<T> => ({ arrivesUs: atUs, atUs, batch });
  return {
    trace: trace.map((batch) => piece(batch, batch.untilUs)),
    files: files.map((batch, index) => piece(batch, filesFlushedUs[index] ?? batch.untilUs)),
    flushes: [...new Set(times)].sort((a, b) => a - b).map((atUs) => ({ atUs, whole: false })),
  };
}

export async function play(recorded: Recorded, plan: Plan): Promise<Played> {
  const folder = mkdtempSync(join(tmpdir(), 'replay-'));
  const sensors = new ReplaySensors({ ...plan, tier: 'exact' });
  useClock({
    monotonicUs: () => sensors.nowUs,
    wallMs: () => (sensors.nowUs + WALL_US) / 1000,
  });
  sensors.nowUs = recorded.fromUs;
  const store = Store.open({ path: join(folder, 'trace.db') });
  const recorder = new Recorder({
    store,
    quietUs: 15 * 60_000_000,
    serverNames: [],
    serverPorts: [],
    onNotice: () => undefined,
    replay: {
      sensors,
      root: () => new ReplayedIndex(recorded),
      exports: {
        tables: () => ({ handles: tableOf(recorded), options: NONE, etab: NONE }),
        domains: () => new Map(),
        rootHandle: (path) =>
          recorded.exports.find(({ key }) => key.path.equals(path))?.rootHandle ?? null,
        openIndex: ({ key }) => {
          const tree = recorded.outside.find(({ path }) => path.equals(key.path));
          if (tree === undefined) return null;
          const index = new ReplayedIndex({ begin: tree, end: tree });
          index.open();
          index.addExportKey(key);
          return index;
        },
      },
    },
  });
  try {
    await recorder.start();
    const { path } = recorded.begin;
    await recorder.startRoot({ path, label: null, clients: [] });
    for (const { atUs, whole } of plan.flushes) {
      sensors.nowUs = atUs;
      await (whole ? recorder.mark('now') : recorder.flush());
    }
    sensors.nowUs = recorded.untilUs + 1_000_000;
    await recorder.stopRoot(recorder.rootIdOf(path) ?? -1);
    return outcome(store);
  } finally {
    await recorder.stop();
    store.close();
    useClock(null);
    rmSync(folder, { recursive: true });
  }
}

const NONE = Buffer.alloc(0);

/** As /proc/net/rpc/nfsd.fh/content prints it: 32-bit words of this machine's order. */
function tableOf({ exports }: Recorded): Buffer {
  const lines = exports.map(({ key: { domain, fsidType, fsid, path } }) => {
    const words = Buffer.from(fsid);
    if (endianness() === 'LE') words.swap32();
    return `${domain} ${fsidType} 0x${words.toString('hex')} ${path.toString('latin1')}\n`;
  });
  return Buffer.from(lines.join(''), 'latin1');
}

function outcome(store: Store): Played {
  const relative = (us: number): number => us - WALL_US;
  const [root] = store.roots();
  const holding = new Map(
    [...store.knownFiles(root?.id ?? 0)].map(({ id, names }) => [id, names.map(text)]),
  );
  const handles = new Map(store.sessions().flatMap(({ id }) => [...store.handles(id)]));
  const handleOf = (file: number): string => {
    const { type, bytes } = handles.get(file) ?? {};
    return `${type ?? ''}:${bytes?.toString('hex') ?? ''}`;
  };
  const sessions = store.sessions().map((session) => ({
    client: session.client,
    evidence: session.evidence,
    partial: session.partial,
    openedUs: relative(session.openedUs),
    lastUs: relative(session.lastUs),
    closed: session.closeReason,
    tier: session.tier,
    files: store
      .files(session.id)
      .map((file) => ({
        handle: handleOf(file.fileId),
        // Names that came and went between two flushes are not kept, so they are no part of it.
        names: file.names.map(text).filter((name) => holding.get(file.fileId)?.includes(name)),
        operations: operationsOf(file.operations),
        created: file.created,
        count: file.count,
        bytes: file.bytes,
        firstUs: relative(file.firstUs),
        lastUs: relative(file.lastUs),
      }))
      .sort((a, b) => (a.handle < b.handle ? -1 : 1)),
  }));
  const names = [...store.knownFiles(root?.id ?? 0)].flatMap(({ handle, names: known }) =>
    known.map((name) => `${handle.bytes.toString('hex')} ${text(name)}`),
  );
  return {
    sessions,
    losses: store.losses().map(({ where, count }) => `${where} ${count}`),
    names: names.sort(),
  };
}

function text(name: Buffer): string {
  return name.toString('latin1');
}
