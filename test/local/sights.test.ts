/** Runs on a root that changes between them: each knows files as they were when it used them. */
import assert from 'node:assert/strict';
import { appendFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { LocalRig, NEEDED, type Root } from './local-rig.ts';

describe('runs on a root that changes', { skip: lacks(...NEEDED) }, () => {
  let rig: LocalRig;
  let root: Root;
  before(() => {
    rig = new LocalRig();
    root = rig.makeRoot('sarge', ['bash', 'cat', 'sleep']);
  });
  after(() => rig.remove());

  test('a run knows each file as it was when this run used it, whatever others saw', async () => {
    const edited = join(root.path, 'etc/edited');
    writeFileSync(edited, 'x');
    const sizeIn = async (session: string): Promise<number | undefined> =>
      (
        await rig.sandbox.json<{ files: { path: string; size: number }[] }>(['files', session])
      ).files.find(({ path }) => path === 'etc/edited')?.size;
    const late = rig.record(root, ['bash', '-c', 'sleep 5; cat /etc/edited']);
    const sizes: (number | undefined)[] = [];
    for (let turn = 0; turn < 3; turn++) {
      const { session } = await rig.record(root, ['cat', '/etc/edited']);
      sizes.push(await sizeIn(session));
      appendFileSync(edited, 'x');
    }
    const { ran, session } = await late;
    assert.equal(ran.text, 'xxxx');
    assert.deepEqual([...sizes, await sizeIn(session)], [1, 2, 3, 4]);
  });

  test('a new file renamed over the old one: of both runs it is as the later one saw it', async () => {
    const upgraded = join(root.path, 'etc/upgraded');
    writeFileSync(upgraded, 'old');
    const { session: before } = await rig.record(root, ['cat', '/etc/upgraded']);
    writeFileSync(`${upgraded}.new`, 'a new version');
    renameSync(`${upgraded}.new`, upgraded);
    const { session: after } = await rig.record(root, ['cat', '/etc/upgraded']);
    const [first = '', second = ''] = [before, after].map((name) => name.replace('session-', ''));
    const skipped = async (sessions: string): Promise<boolean> => {
      const options = ['--format', 'list', '--on-drift', 'skip', '-o', '-'];
      const { text: list } = await rig.sandbox.ok(['export', sessions, ...options]);
      return !list.split('\n').includes('etc/upgraded');
    };
    assert.equal(await skipped(first), true);
    for (const sessions of [second, `${first}+${second}`, `${second}+${first}`])
      assert.equal(await skipped(sessions), false, sessions);
  });

  test('a name that went before a run is none of its names', async () => {
    writeFileSync(join(root.path, 'etc/before'), 'x');
    await rig.record(root, ['cat', '/etc/before']);
    renameSync(join(root.path, 'etc/before'), join(root.path, 'etc/after'));
    const { session } = await rig.record(root, ['cat', '/etc/after']);
    const used = await rig.operations(session);
    assert.deepEqual(
      [...used.keys()].filter((path) => /^etc\/(before|after)$/.test(path)),
      ['etc/after'],
    );
    const options = ['--on-drift', 'fail', '--format', 'list', '-o', '-'];
    await rig.sandbox.ok(['export', session, ...options]);
  });
});
