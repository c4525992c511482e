/**
 * A sandbox whose database holds sessions that nobody had to record, and the root that they are
 * of: for tests of what needs neither a daemon nor a right. Owns that root and those rows.
 */
import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { operationBit } from '../../src/common/words.ts';
import { Store, type AccessUpdate, type NewFile } from '../../src/store/store.ts';
import { TraceSandbox } from './trace-sandbox.ts';

/** A wall-clock moment, microseconds. */
export const T0 = 1_700_000_000_000_000;

const NAMES = ['init', 'bin/tool', 'etc/with\nnewline'];
/** The last file's name: not UTF-8. */
export const ODD_NAME = Buffer.from('etc/\xff odd', 'latin1');
export const BIG_BYTES = 300_000;

export const SESSIONS = {
  /** Complete, of 10.0.0.7; everything but the newline. */
  whole: 'session-1',
  /** Lost 3 events. */
  lossy: 'session-2',
  /** Began with the client up, and is still open. */
  partial: 'session-3',
  /** Complete; has the name with a newline. */
  newline: 'session-4',
  /** Of another root, which has gone. */
  elsewhere: 'session-5',
} as const;

export interface RecordedPlace {
  readonly sandbox: TraceSandbox;
  readonly root: string;
}

export function recordedPlace(): RecordedPlace {
  const sandbox = new TraceSandbox();
  const root = sandbox.at('root');
  makeRoot(root);
  const store = Store.open({ path: sandbox.database });
  try {
    fill(store, root, sandbox.at('gone'));
  } finally {
    store.close();
  }
  return { sandbox, root };
}

/** One for the tests of a file, or of the `describe` that asks for it; it goes after them. */
export function placeForTests(): RecordedPlace {
  const place = recordedPlace();
  after(() => place.sandbox.remove());
  return place;
}

function makeRoot(root: string): void {
  for (const folder of ['bin', 'etc', 'dev', 'proc', 'usr/lib'])
    mkdirSync(join(root, folder), { recursive: true });
  // Needs nothing that this root lacks, which would be told on stderr.
  writeFileSync(join(root, 'init'), 'exec tool\n', { mode: 0o755 });
  writeFileSync(join(root, 'bin/tool'), Buffer.alloc(BIG_BYTES, 'tool'), { mode: 0o755 });
  writeFileSync(join(root, 'etc/with\nnewline'), 'two lines');
  writeFileSync(Buffer.concat([Buffer.from(`${root}/`), ODD_NAME]), 'odd');
  symlinkSync('usr/lib', join(root, 'lib'));
}

function fill(store: Store, root: string, gone: string): void {
  const ids = [Buffer.from(root), Buffer.from(gone)].map((path) => {
    const rootId = store.ensureRoot(path);
    const clients: string[] = [];
    const recordingId = store.startRecording({
      rootId,
      label: 'a label',
      clients,
      tier: 'exact',
      atUs: T0,
    });
    return { rootId, recordingId };
  });
  const [here, there] = ids as [(typeof ids)[0], (typeof ids)[0]];
  const names = [...NAMES.map((name) => Buffer.from(name)), ODD_NAME];
  const session = (id: number, place: typeof here, partial = false) => ({
    id,
    ...place,
    client: id === 2 ? '10.0.0.8' : '10.0.0.7',
    evidence: { kind: partial ? ('first-traffic' as const) : ('nfs3-mount' as const) },
    partial,
    openedUs: T0 + id * 1_000_000,
    lastUs: T0 + id * 1_000_000,
  });
  const missed = { count: 2, firstUs: T0, lastUs: T0 + 1 };
  store.ingest({
    atUs: T0,
    opened: [
      session(1, here),
      session(2, here),
      session(3, here, true),
      session(4, here),
      session(5, there),
    ],
    files: [
      ...names.map((name, index) => fileOf(index + 1, here.rootId, root, name)),
      { ...fileOf(1, there.rootId, root, names[0] ?? Buffer.alloc(0)), id: 5 },
    ],
    accesses: [
      ...[1, 2, 3].flatMap((id) => [1, 2, 4].map((file) => access(id, file))),
      ...[1, 3].map((file) => access(4, file)),
      access(5, 5),
    ],
    missing: [
      { sessionId: 1, directoryId: 2, name: ODD_NAME.subarray(4), ...missed },
      { sessionId: 1, directoryId: 2, name: Buffer.from('nope'), ...missed },
    ],
    missingDropped: [{ sessionId: 1, count: 3 }],
    losses: [
      {
        recordingId: here.recordingId,
        sessionId: 2,
        where: 'trace-ring',
        count: 3,
        fromUs: T0,
        toUs: T0 + 1,
      },
    ],
  });
  store.addMark({ text: 'boot done', atUs: T0 + 5_000_000, sessionIds: [1] });
  store.ingest({
    atUs: T0 + 9_000_000,
    closed: [1, 2, 4, 5].map((id) => ({ id, reason: 'stop', atUs: T0 + 9_000_000 })),
  });
  for (const { recordingId } of ids) store.stopRecording(recordingId, T0 + 9_000_000);
}

function fileOf(id: number, rootId: number, root: string, name: Buffer): NewFile {
  const { dev, ino, mode, uid, gid, size, mtimeNs, nlink } = statSync(
    Buffer.concat([Buffer.from(`${root}/`), name]),
    { bigint: true },
  );
  const handle = Buffer.alloc(8);
  handle.writeUInt32LE(id);
  return {
    id,
    rootId,
    handle: { type: 1, bytes: handle },
    dev: Number(dev),
    inode: ino,
    mode: Number(mode),
    uid: Number(uid),
    gid: Number(gid),
    size: Number(size),
    mtimeNs,
    nlink: Number(nlink),
    names: [name],
  };
}

function access(sessionId: number, fileId: number): AccessUpdate {
  const atUs = T0 + sessionId * 1_000_000 + fileId;
  return {
    sessionId,
    fileId,
    operations: operationBit('read'),
    count: 1,
    bytes: 100,
    firstUs: atUs,
    lastUs: atUs,
    order: fileId,
    evidence: 'nfsd',
  };
}
