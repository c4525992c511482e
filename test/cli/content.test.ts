/** `trace snapshot`, `trace content` and `trace export --as-recorded`, as a person has them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { before, beforeEach, describe, test } from 'node:test';
import type {
  CheckedBody,
  ContentBody,
  KeptBody,
  PrunedBody,
} from '../../src/daemon/content-api.ts';
import { lacks } from '../capabilities.ts';
import { sha256 } from '../image/support.ts';
import {
  BIG_BYTES,
  placeForTests,
  recordedPlace,
  SESSIONS,
  type RecordedPlace,
} from '../support/recorded-place.ts';
import type { TraceSandbox } from '../support/trace-sandbox.ts';

const NOBODY = 65_534;
const UNION = `${SESSIONS.whole}+${SESSIONS.newline}`;

describe('kept content', { skip: lacks('root', 'fanotify', 'mount') }, () => {
  const place = placeForTests();
  const { sandbox } = place;

  const content = (...names: string[]): string => join(sandbox.stateDir, 'content', ...names);
  const files = (): string[] =>
    existsSync(content())
      ? readdirSync(content(), { recursive: true, encoding: 'utf8' })
          .filter((name) => lstatSync(content(name)).isFile())
          .sort()
      : [];
  const image = async (session: string, ...more: string[]): Promise<Buffer> =>
    (await sandbox.ok(['export', session, '-o', '-', ...more])).stdout;
  const list = (): Promise<ContentBody> => sandbox.json<ContentBody>(['content', 'list']);

  test('nothing can be had of a session that nothing is kept for', async () => {
    await sandbox.fails(['export', SESSIONS.whole, '--as-recorded', '-o', sandbox.at('x')], {
      code: 66,
      message: /no content is kept for session-1/,
      hint: /trace snapshot session-1/,
    });
    await sandbox.fails(['snapshot', SESSIONS.whole], { code: 69, message: /no daemon listens/ });
  });

  describe('by a daemon', () => {
    before(async () => {
      await sandbox.daemon();
    });

    test('nothing is listed before anything is kept, and no folder made for it', async () => {
      const { blobs, bytes, snapshots } = await list();
      assert.deepEqual([blobs, bytes, snapshots], [0, 0, []]);
      assert.ok(!existsSync(content()));
    });

    test('the old image for ever, directly and through the daemon: the same bytes and report', async () => {
      chownSync(sandbox.socket, 0, NOBODY);
      const folder = sandbox.at('theirs');
      mkdirSync(folder);
      chownSync(folder, NOBODY, NOBODY);
      const old = await image(SESSIONS.whole);
      const kept = await sandbox.json<KeptBody>(['snapshot', SESSIONS.whole]);
      assert.deepEqual([kept.open, kept.drift], [[], []]);
      assert.equal(kept.snapshot, SESSIONS.whole);
      assert.ok(kept.bytes > BIG_BYTES && kept.added.bytes === kept.bytes);
      // A package upgrade, a file that is gone, one that was written to.
      writeFileSync(`${place.root}/bin/.new`, 'a new version', { mode: 0o755 });
      renameSync(`${place.root}/bin/.new`, `${place.root}/bin/tool`);
      writeFileSync(`${place.root}/init`, 'exec other\n');
      const report = (output: string, ...more: string[]) => [
        ...['export', SESSIONS.whole, '-o', output, '--as-recorded'],
        ...['--report', `${output}.json`],
        ...more,
      ];
      assert.ok((await image(SESSIONS.whole, '--as-recorded')).equals(old));
      assert.ok(!(await image(SESSIONS.whole)).equals(old));
      const nobody = { prefix: sandbox.asNobody() };
      for (const more of [
        [],
        ['--compress', 'zstd'],
        ['--align'],
        ['--format', 'manifest'],
        ['--init', 'exec'],
      ]) {
        const mine = await sandbox.json<object>(report(sandbox.at('mine'), ...more));
        const theirs = await sandbox.json<object>(report(`${folder}/theirs`, ...more), nobody);
        assert.deepEqual({ ...theirs, output: null }, { ...mine, output: null });
        assert.ok('as_recorded' in mine && typeof mine.as_recorded === 'string');
        for (const end of ['', '.json'])
          assert.ok(
            readFileSync(`${folder}/theirs${end}`).equals(readFileSync(sandbox.at(`mine${end}`))),
          );
      }
      renameSync(place.root, `${place.root}.gone`);
      assert.ok((await image(SESSIONS.whole, '--as-recorded')).equals(old));
      renameSync(`${place.root}.gone`, place.root);
      await sandbox.fails(
        [...report(sandbox.at('x')), '--content-dir', content()],
        { code: 77, message: /others may use|cannot use/ },
        nobody,
      );
    });

    test('is only its owner’s', () => {
      assert.equal(statSync(content()).mode & 0o777, 0o700);
      for (const name of files()) assert.equal(lstatSync(content(name)).mode & 0o077, 0, name);
    });

    test('is listed, with the session noted', async () => {
      const { folder, snapshots, blobs, bytes } = await list();
      assert.equal(folder, content());
      assert.equal(snapshots.length, 1);
      const [first] = snapshots;
      assert.ok(first !== undefined && !('damaged' in first));
      assert.deepEqual([first.snapshot, first.root.path], [SESSIONS.whole, place.root]);
      const blobFiles = files().filter((name) => name.startsWith('blobs/'));
      assert.equal(blobs, blobFiles.length);
      assert.equal(
        bytes,
        blobFiles.reduce((sum, name) => sum + lstatSync(content(name)).size, 0),
      );
      const { text } = await sandbox.ok(['show', SESSIONS.whole]);
      assert.match(text, /note +content-kept, .*: \d+ files, \d+ bytes/);
    });

    test('expressions have a snapshot of their own; names that are no UTF-8 and with newlines', async () => {
      const old = await image(UNION);
      assert.ok(old.includes('two lines'));
      await sandbox.fails(['export', UNION, '--as-recorded', '-o', sandbox.at('x')], {
        code: 66,
        message: /no content is kept for session-1\+session-4/,
      });
      await sandbox.ok(['snapshot', UNION]);
      rmSync(`${place.root}/etc`, { recursive: true });
      assert.ok((await image(UNION, '--as-recorded')).equals(old));
      const long = Array.from({ length: 30 }, () => SESSIONS.whole).join('+');
      await sandbox.fails(['snapshot', long], {
        code: 64,
        message: /of \d+ characters cannot have a snapshot/,
      });
    });

    test('a root that is gone, and two places for one, are refused', async () => {
      await sandbox.fails(['snapshot', SESSIONS.elsewhere], { code: 66, message: /gone/ });
      await sandbox.fails(['snapshot', 'session-77'], { code: 66, message: /no session-77/ });
      await sandbox.fails(
        ['export', SESSIONS.whole, '--as-recorded', '--tree', '/', '-o', sandbox.at('x')],
        { code: 64, message: /--tree and --as-recorded/ },
      );
      assert.equal((await list()).snapshots.length, 2);
    });

    test('a further snapshot loses nothing, unless that is asked for', async () => {
      const old = await image(SESSIONS.whole, '--as-recorded');
      const before = files();
      await sandbox.fails(['snapshot', SESSIONS.whole], {
        code: 73,
        message:
          /kept for session-1 is not what the root has now: 2 names would change and 2 would go, the first is \/bin\/tool/,
        hint: /trace snapshot session-1 --replace/,
      });
      assert.deepEqual(files(), before);
      assert.ok((await image(SESSIONS.whole, '--as-recorded')).equals(old));
      const { stderr } = await sandbox.ok(['snapshot', SESSIONS.lossy]);
      for (const words of ['replaced .* bin/tool', 'vanished .* odd', 'changed .* init'])
        assert.match(stderr, new RegExp(`^warning: 1 recorded objects ${words}$`, 'm'));
      const tool = readFileSync(`${place.root}/bin/tool`);
      writeFileSync(`${place.root}/bin/tool`, 'another version', { mode: 0o755 });
      const again = ['snapshot', SESSIONS.lossy, '--replace'];
      const { drift } = await sandbox.json<KeptBody>(again);
      assert.deepEqual([drift.length, drift[0]?.path], [3, 'bin/tool']);
      const choices = ['--as-recorded', '--accept-loss'];
      assert.ok((await image(SESSIONS.lossy, ...choices)).includes('another version'));
      // Of the two versions that only it had, one is not its own any more.
      writeFileSync(`${place.root}/bin/third`, 'third', { mode: 0o755 });
      renameSync(`${place.root}/bin/third`, `${place.root}/bin/tool`);
      await sandbox.ok(again);
      writeFileSync(`${place.root}/bin/tool`, tool);
      const gone = await sandbox.json<PrunedBody>(['content', 'remove', SESSIONS.lossy]);
      assert.deepEqual([gone.blobs, gone.bytes], [1, 'third'.length]);
      const pruned = await sandbox.json<PrunedBody>(['content', 'prune']);
      assert.deepEqual([pruned.blobs, pruned.bytes], [1, 'another version'.length]);
    });

    test('damage is told, and mended from the root while that has the file', async () => {
      await sandbox.ok(['snapshot', SESSIONS.partial]);
      const old = await image(SESSIONS.partial, '--as-recorded', '--accept-loss');
      const hash = sha256(readFileSync(`${place.root}/bin/tool`));
      const blob = content('blobs', hash.slice(0, 2), hash);
      chmodSync(blob, 0o600);
      writeFileSync(blob, 'A new version');
      const asked = ['export', SESSIONS.partial, '--accept-loss', '--as-recorded', '-o'];
      await sandbox.fails([...asked, sandbox.at('damaged')], {
        code: 65,
        message: /kept content of \/bin\/tool is not what was kept/,
        hint: /trace content check/,
      });
      assert.ok(!existsSync(sandbox.at('damaged')));
      const { code, json } = await sandbox.run(['content', 'check', '--json']);
      assert.equal(code, 1);
      const checked = json as CheckedBody;
      assert.equal(checked.damaged, 1);
      assert.deepEqual(
        checked.snapshots.filter(({ missing }) => missing > 0).map(({ snapshot }) => snapshot),
        [UNION, SESSIONS.partial],
      );
      await sandbox.ok(['snapshot', SESSIONS.partial]);
      await sandbox.ok(['content', 'check']);
      assert.ok((await image(SESSIONS.partial, '--as-recorded', '--accept-loss')).equals(old));
    });

    test('what is let go of takes along what only it needs', async () => {
      const before = await list();
      const remove = (one: string) => sandbox.json<PrunedBody>(['content', 'remove', one]);
      // The name with a newline; then the new tool and init.
      assert.equal((await remove(UNION)).blobs, 1);
      assert.equal((await remove(SESSIONS.partial)).blobs, 2);
      assert.equal((await list()).blobs, before.blobs - 3);
      await sandbox.fails(['content', 'remove', SESSIONS.partial], {
        code: 66,
        message: /no content is kept for session-3/,
      });
      assert.match(
        (await sandbox.ok(['show', SESSIONS.partial])).text,
        /content-kept.*removed since/,
      );
      await image(SESSIONS.whole, '--as-recorded');
      assert.deepEqual((await sandbox.json<PrunedBody>(['content', 'prune'])).snapshots, []);
      // Of a session that this database does not have.
      renameSync(content('snapshots', SESSIONS.whole), content('snapshots', 'session-99'));
      assert.deepEqual((await sandbox.json<PrunedBody>(['content', 'prune'])).snapshots, [
        'session-99',
      ]);
    });
  });
});

describe('keeping', { skip: lacks('root', 'fanotify') }, () => {
  let place: RecordedPlace;
  let sandbox: TraceSandbox;
  beforeEach(() => {
    place = recordedPlace();
    ({ sandbox } = place);
  });
  /** Also while they come and go. */
  const tree = (folder: string): string[] =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => lstatSync(join(folder, name), { throwIfNoEntry: false })?.isFile())
      .sort();

  test('killed at any moment leaves no wrong content, and nothing that a prune does not take', async () => {
    const folder = sandbox.at('kept');
    try {
      const config = { contentDir: folder };
      for (let file = 0; file < 200; file++)
        writeFileSync(`${place.root}/usr/lib/${file}`, Buffer.alloc(20_000, `${file} content`));
      const asked = ['snapshot', SESSIONS.whole, '--include', '/usr/lib/'];
      let killedWithin = 0;
      for (let wait = 0; wait < 12; wait++) {
        const daemon = await sandbox.daemon(config);
        const keeping = sandbox.run(asked);
        for (let turns = 0; turns < 2000; turns++) {
          if (existsSync(join(folder, 'blobs')) && tree(folder).length > wait * 18) break;
          await delay(1);
        }
        await daemon.kill();
        if ((await keeping).code !== 0) killedWithin++;
        for (const name of tree(folder).filter((one) => one.startsWith('blobs/')))
          assert.equal(sha256(readFileSync(join(folder, name))), name.slice(9), name);
      }
      assert.ok(killedWithin > 6, `killed within ${killedWithin} of 12`);
      await sandbox.daemon(config);
      for (const { snapshot } of (await sandbox.json<ContentBody>(['content', 'list'])).snapshots)
        await sandbox.ok(['content', 'remove', snapshot]);
      await sandbox.ok(['content', 'prune']);
      assert.deepEqual(tree(folder), []);
      await sandbox.ok(asked);
      const choices = ['--include', '/usr/lib/', '-o', '-'];
      const now = await sandbox.ok(['export', SESSIONS.whole, ...choices]);
      const kept = ['--as-recorded', '--content-dir', folder, ...choices];
      assert.ok((await sandbox.ok(['export', SESSIONS.whole, ...kept])).stdout.equals(now.stdout));
    } finally {
      await sandbox.remove();
    }
  });

  test(
    'a daemon without root keeps what only root may read, for root and by itself',
    { skip: lacks('mount') },
    async () => {
      try {
        chmodSync(`${place.root}/bin/tool`, 0o700);
        chmodSync(place.root, 0o700);
        execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, sandbox.stateDir]);
        chmodSync(sandbox.folder, 0o777);
        const prefix = sandbox.asNobody('dac_read_search,+sys_admin');
        await sandbox.daemon({}, { prefix });
        const now = await sandbox.ok(['export', SESSIONS.whole, '-o', '-']);
        await sandbox.ok(['snapshot', SESSIONS.whole]);
        const folder = join(sandbox.stateDir, 'content');
        assert.equal(statSync(folder).uid, NOBODY);
        assert.deepEqual(
          new Set(tree(folder).map((name) => lstatSync(join(folder, name)).uid)),
          new Set([NOBODY]),
        );
        rmSync(place.root, { recursive: true });
        const kept = await sandbox.ok(['export', SESSIONS.whole, '--as-recorded', '-o', '-']);
        assert.ok(kept.stdout.equals(now.stdout));
      } finally {
        await sandbox.remove();
      }
    },
  );

  test('ends at its bound, which is said, and takes nothing of the place that there was', async () => {
    try {
      await sandbox.daemon({ contentMaxMb: 1 });
      await sandbox.ok(['snapshot', SESSIONS.whole]);
      const folder = join(sandbox.stateDir, 'content');
      const before = tree(folder);
      for (const name of ['one', 'two'])
        writeFileSync(`${place.root}/usr/lib/${name}`, Buffer.alloc(400_000, name));
      const asked = ['snapshot', SESSIONS.newline, '--include', '/usr/lib/'];
      await sandbox.fails(asked, {
        code: 74,
        message: /kept content would be over its bound of 1 MiB/,
        hint: /trace content remove/,
      });
      assert.deepEqual(tree(folder), before);
      await sandbox.ok(['content', 'remove', SESSIONS.whole]);
      await sandbox.ok(asked);
    } finally {
      await sandbox.remove();
    }
  });
});
