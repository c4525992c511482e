/** A store in a folder of its own, and rows for it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { operationBit } from '../../src/common/words.ts';
import {
  Store,
  type AccessUpdate,
  type NewFile,
  type SessionOpened,
} from '../../src/store/store.ts';

/** A wall-clock moment, microseconds. */
export const T0 = 1_700_000_000_000_000;
export const READ = operationBit('read');

const cleanups = new WeakMap<TestContext, (() => void)[]>();

/** Undone in the reverse order: a store is closed before its folder goes. */
function cleanUp(t: TestContext, work: () => void): void {
  const known = cleanups.get(t);
  if (known !== undefined) {
    known.push(work);
    return;
  }
  const works = [work];
  cleanups.set(t, works);
  t.after(() => {
    for (const undo of works.reverse()) undo();
  });
}

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'store-test-'));
  cleanUp(t, () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function openFor(t: TestContext, path: string, readOnly = false): Store {
  const store = Store.open({ path, readOnly });
  cleanUp(t, () => store.close());
  return store;
}

export interface Recorded {
  readonly store: Store;
  readonly path: string;
  readonly rootId: number;
  readonly recordingId: number;
}

/** A new store with one root under recording. */
export function recorded(t: TestContext): Recorded {
  const path = join(temporaryFolder(t), 'trace.db');
  const store = openFor(t, path);
  const rootId = store.ensureRoot(Buffer.from('/nfsroots/sarge'));
  const recordingId = store.startRecording({
    rootId,
    label: 'first try',
    clients: ['10.0.0.0/24'],
    tier: 'exact',
    atUs: T0,
  });
  return { store, path, rootId, recordingId };
}

export function opened(
  { rootId, recordingId }: Recorded,
  fields: Partial<SessionOpened> & { readonly id: number },
): SessionOpened {
  const openedUs = fields.openedUs ?? T0;
  return {
    client: '10.0.0.7',
    rootId,
    recordingId,
    evidence: { kind: 'nfs3-mount' },
    partial: false,
    openedUs,
    lastUs: openedUs,
    ...fields,
  };
}

export function file(id: number, ...names: (string | Buffer)[]): NewFile {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(id);
  return {
    id,
    rootId: 1,
    handle: { type: 1, bytes },
    dev: 2_049,
    inode: BigInt(1_000 + id),
    generation: null,
    mode: 0o100644,
    uid: 0,
    gid: 0,
    size: 10 * id,
    mtimeNs: 1_600_000_000_123_456_789n,
    nlink: names.length,
    ctimeNs: 1_600_000_000_123_456_789n,
    names: names.map((name) => Buffer.from(name)),
  };
}

export function access(
  sessionId: number,
  fileId: number,
  fields: Partial<AccessUpdate> = {},
): AccessUpdate {
  return {
    sessionId,
    fileId,
    operations: READ,
    count: 1,
    bytes: 100,
    firstUs: T0 + fileId,
    lastUs: T0 + fileId,
    order: fileId,
    evidence: 'nfsd',
    ...fields,
  };
}

export function listOf(store: Store, sessionId: number): string[] {
  return store.list(sessionId).map((path) => path.toString('latin1'));
}
