/** Made-up rows of a store, for tests of what is made of sessions. */
import { operationBit } from '../../src/common/words.ts';
import type { SessionSource } from '../../src/sessions/evaluate.ts';
import type { FileAccessRow, SessionRow } from '../../src/store/types.ts';

/** A session as the store gives it; `fields` are what a test is about. */
export function session(id: number, fields: Partial<SessionRow> = {}): SessionRow {
  return {
    id,
    rootId: 1,
    root: Buffer.from('/nfsroots/sarge'),
    recordingId: 1,
    label: null,
    client: '10.0.0.7',
    tier: 'exact',
    evidence: { kind: 'nfs3-mount' },
    partial: false,
    openedUs: 0,
    lastUs: 0,
    closedUs: 1,
    closeReason: 'boot',
    files: 0,
    accesses: 0,
    bytes: 0,
    loss: 0,
    marks: [],
    notes: [],
    clientLabel: null,
    clientName: null,
    ...fields,
  };
}

/** A file of a session that read it; likewise. */
export function row(fileId: number, fields: Partial<FileAccessRow> = {}): FileAccessRow {
  return {
    fileId,
    type: 0o100000,
    mode: 0o100644,
    uid: 0,
    gid: 0,
    size: 1,
    mtimeNs: 1_500_000_000n,
    nlink: 1,
    ctimeNs: null,
    target: null,
    dev: 1,
    inode: BigInt(fileId),
    operations: operationBit('read'),
    count: 1,
    bytes: 1,
    firstUs: 10,
    lastUs: 20,
    order: fileId,
    evidence: ['nfsd'],
    created: false,
    firstBatch: 1,
    names: [Buffer.from(`file-${fileId}`)],
    ...fields,
  };
}

/** Sessions by their numbers, and the files of each. */
export function source(
  sessions: readonly SessionRow[],
  files: Readonly<Record<number, readonly FileAccessRow[]>>,
): SessionSource {
  return {
    session: (id) => sessions.find((known) => known.id === id),
    files: (id) => [...(files[id] ?? [])],
  };
}
