/** What an NFS client does is in its session, and only that; once there, it stays as it is. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { renameSync, utimesSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { GANESHA_NEEDS } from '../support/ganesha.ts';
import { Loopback } from '../support/loopback.ts';

interface SessionJson {
  readonly session: string;
  readonly client: string;
  readonly tier: string;
  readonly open: boolean;
  readonly partial: boolean;
  readonly loss: number;
  readonly evidence: { readonly kind: string };
  readonly marks: readonly { readonly text: string }[];
}

const CLIENT = '127.0.0.1';

/** Everything below a directory is read by a local process, not through NFS. */
function readLocally(directory: string): void {
  execFileSync('sh', ['-c', `find '${directory}' -type f -print0 | xargs -0 cat`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

for (const version of [3, 4] as const)
  describe(`NFSv${version}`, { skip: lacks(...GANESHA_NEEDS) }, () => {
    let loop: Loopback;
    before(async () => {
      loop = await Loopback.start();
      await loop.record('--label', `v${version}`);
    });
    after(() => loop.stop());
    const session = async (name: string): Promise<SessionJson> =>
      loop.sandbox.json<SessionJson>(['show', name]);

    test('local readers appear nowhere', async () => {
      readLocally(loop.root);
      await loop.flush();
      const { sessions } = await loop.sandbox.json<{ sessions: unknown[] }>(['sessions']);
      assert.deepEqual(sessions, []);
    });

    test('read, readdir, open of an empty file, a file read twice, one written', async () => {
      const client = await loop.client(version);
      assert.equal((await client.read('/init')).toString(), '#!/bin/sh\nexec /sbin/init\n');
      await client.readdir('/usr/lib');
      await client.open('/etc/empty');
      await client.read('/etc/a');
      await client.read('/etc/a');
      // Through two links.
      assert.equal((await client.read('/etc/chain1')).length, 300_001);
      await client.write('/tmp/made', 'by the client');
      await client.close();
      await loop.nextSession();

      const files = await loop.files('session-1');
      assert.deepEqual(files.get('init'), ['access', 'read']);
      assert.deepEqual(files.get('etc/a'), ['access', 'read']);
      assert.deepEqual(files.get('usr/bin/tool'), ['access', 'read']);
      assert.ok(files.get('usr/lib')?.includes('readdir'));
      assert.ok(files.get('tmp/made')?.includes('create'));
      // Over v3 opening an empty file sends nothing that touches it on the server.
      assert.deepEqual(files.get('etc/empty'), version === 3 ? undefined : ['access']);
      for (const [path, operations] of files)
        assert.ok(
          !operations.includes('read') || ['init', 'etc/a', 'usr/bin/tool'].includes(path),
          `${path} was not read`,
        );
      const shown = await session('session-1');
      assert.deepEqual(
        [shown.client, shown.tier, shown.evidence.kind, shown.partial, shown.loss, shown.open],
        [CLIENT, 'sole-client', 'init-read', false, 0, false],
      );
    });

    test('a session by hand, and marks in those that are open', async () => {
      const client = await loop.client(version);
      await client.read('/etc/ab');
      const { text } = await loop.sandbox.ok(['mark', 'boot "done"\nnow']);
      assert.match(text, /^marked session-2: boot/);
      await client.read('/etc/abc');
      await client.close();
      await loop.nextSession();
      const [first, second] = [await session('session-1'), await session('session-2')];
      assert.deepEqual(first.marks, []);
      assert.deepEqual(
        second.marks.map((mark) => mark.text),
        ['boot "done"\nnow'],
      );
      assert.equal(second.evidence.kind, 'manual');
      assert.equal(second.partial, false);
      const files = await loop.files('session-2');
      assert.ok(files.has('etc/ab') && files.has('etc/abc') && !files.has('init'));
    });

    test('a list is the same bytes, whatever happens to the root later', async () => {
      const { sandbox, root } = loop;
      const list = async () => (await sandbox.ok(['list', 'session-1', '-0'])).stdout;
      const before = await list();
      assert.deepEqual(await list(), before, 'twice');
      utimesSync(`${root}/init`, 1, 1);
      readLocally(root);
      assert.deepEqual(await list(), before, 'after touch and local reads');
      renameSync(`${root}/etc/a`, `${root}/etc/moved`);
      writeFileSync(`${root}/etc/new`, 'new');
      await loop.flush();
      const client = await loop.client(version);
      await client.read('/init');
      await client.read('/etc/moved');
      await client.close();
      await loop.nextSession();
      assert.deepEqual(await list(), before, 'after a rename and another boot');
      const later = await loop.files('session-3');
      assert.ok(later.has('etc/moved') && !later.has('etc/a'));
      renameSync(`${root}/etc/moved`, `${root}/etc/a`);
    });

    test('a rename while the session runs: both names held', async () => {
      const client = await loop.client(version);
      await client.write('/tmp/before', 'x');
      await loop.flush();
      await client.rename('/tmp/before', '/tmp/after');
      await client.read('/tmp/after');
      await client.close();
      await loop.nextSession();
      const { text } = await loop.sandbox.ok(['list', 'session-4']);
      assert.match(text, /^tmp\/after\ntmp\/before$/m);
    });

    test('stop drains: what was read just before is in', async () => {
      const client = await loop.client(version);
      await client.read('/etc/abcd');
      const { text } = await loop.sandbox.ok(['stop']);
      await client.close();
      assert.match(text, /; ended: session-5\n$/);
      assert.ok((await loop.files('session-5')).get('etc/abcd')?.includes('read'));
    });

    test('after stop nothing more is recorded', async () => {
      const client = await loop.client(version);
      await client.read('/etc/abcd');
      await client.close();
      await loop.sandbox.ok(['stop', '--daemon']);
      const { sessions } = await loop.sandbox.json<{ sessions: SessionJson[] }>(['sessions']);
      assert.deepEqual(
        sessions.map((row) => row.session),
        [1, 2, 3, 4, 5].map((id) => `session-${id}`),
      );
      assert.ok(sessions.every(({ open }) => !open));
    });
  });
