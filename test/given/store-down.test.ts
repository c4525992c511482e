/** The store takes nothing for a while: a session that is given goes on, and ends. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { GivenSessions } from '../../src/recording/given-sessions.ts';
import type { GivenRow } from '../../src/recording/given-types.ts';
import { lacks } from '../capabilities.ts';
import { makeFileSystem, type MountedFileSystem } from '../index/file-systems.ts';
import { PipeRig } from '../recording/pipe-rig.ts';

const ROW: GivenRow = {
  path: Buffer.from('file'),
  follow: true,
  operations: 0,
  count: 3,
  bytes: 0,
  firstUs: null,
  lastUs: null,
  created: false,
};

describe('a store that is down', { skip: lacks('root', 'mount', 'handles') }, () => {
  let disk: MountedFileSystem;
  let rig: PipeRig;
  let given: GivenSessions;
  const set = (options: { readonly pendingBytes?: number } = {}): void => {
    rig = new PipeRig(options);
    const { store, pipe } = rig;
    given = new GivenSessions({ store, pipe, roots: new Map(), turn: (work) => work() });
  };
  beforeEach(() => {
    disk = makeFileSystem('tmpfs');
    writeFileSync(`${disk.path}/file`, 'x');
    set();
  });
  afterEach(() => {
    given.close();
    rig.close();
    disk.remove();
  });
  const begin = (): Promise<number> =>
    given.begin({ root: Buffer.from(disk.path), giver: 'import', label: null });
  /** It goes down as soon as a recording has begun. */
  const fallLater = (): void => {
    const start = rig.store.startRecording.bind(rig.store);
    rig.store.startRecording = (recording) => {
      rig.diskFull = true;
      return start(recording);
    };
  };
  const recover = async (): Promise<void> => {
    rig.diskFull = false;
    await rig.pipe.flush(false);
    given.stopEnded();
  };
  const active = (): string[] => rig.store.activeRecordings().map(({ tier }) => tier);

  test('what is given meanwhile waits', async () => {
    fallLater();
    const id = await begin();
    assert.ok(given.has(id));
    assert.equal((await given.add(id, [ROW])).found, 1);
    await given.end(id, { broken: null });
    assert.ok(!given.has(id));
    given.stopEnded();
    assert.ok(active().includes('import'), 'rows of it wait');
    await recover();
    const session = rig.store.session(id);
    assert.deepEqual([session?.accesses, session?.loss], [3, 0]);
    assert.equal(session?.closeReason, 'given');
    assert.ok(!active().includes('import'));
  });

  test('memory is full: rows are refused, and what went is a loss of the session', async () => {
    rig.close();
    set({ pendingBytes: 10 });
    const id = await begin();
    rig.diskFull = true;
    await assert.rejects(given.add(id, [ROW]), { code: 'database-full' });
    await assert.rejects(given.add(id, [ROW]), { code: 'database-io' });
    await given.end(id, { broken: 'it was refused' });
    await recover();
    await rig.pipe.flush(false);
    const session = rig.store.session(id);
    assert.equal(session?.closeReason, 'broken');
    assert.deepEqual(
      new Set(rig.store.losses({ sessionId: id }).map(({ where }) => where)),
      new Set(['writer', 'giver']),
    );
    assert.ok(!active().includes('import'));
  });

  test('and one that cannot begin leaves nothing open', async () => {
    rig.close();
    set({ pendingBytes: 10 });
    fallLater();
    await assert.rejects(begin(), { code: 'database-full' });
    assert.deepEqual(given.open, []);
    await recover();
    assert.deepEqual(rig.store.openSessions(), []);
    assert.ok(!active().includes('import'));
  });
});
