/** Images for people who may not read the root: the daemon builds, they own the file. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { ImagePart } from '../../src/image/parts/part.ts';
import { lacks } from '../capabilities.ts';
import { run } from '../image/support.ts';
import { placeForTests, SESSIONS } from '../support/recorded-place.ts';
import type { RunOptions } from '../support/trace-sandbox.ts';

const NOBODY = 65_534;

describe('through the daemon', { skip: lacks('root', 'fanotify', 'mount') }, () => {
  const place = placeForTests();
  const { sandbox } = place;
  let nobody: RunOptions;
  let folder: string;
  before(async () => {
    chmodSync(place.root, 0o700);
    chmodSync(sandbox.stateDir, 0o700);
    nobody = { prefix: sandbox.asNobody() };
    folder = sandbox.at('theirs');
    mkdirSync(folder);
    chownSync(folder, NOBODY, NOBODY);
    await sandbox.daemon();
  });

  test('the socket is not for everybody', async () => {
    assert.equal(statSync(sandbox.socket).mode & 0o777, 0o660);
    await sandbox.fails(
      ['export', SESSIONS.whole, '-o', `${folder}/x`],
      { code: 77, message: /no permission for the daemon's socket/, hint: /root/ },
      nobody,
    );
    // As an administrator would for a group of theirs.
    chownSync(sandbox.socket, 0, NOBODY);
  });

  test('the same bytes and the same report as for root', async () => {
    const report = (output: string, options: RunOptions = {}) =>
      sandbox.json<{ output: string }>(
        ['export', SESSIONS.lossy, '--accept-loss', '-o', output],
        options,
      );
    const mine = await report(sandbox.at('mine'));
    const theirs = await report(`${folder}/theirs`, nobody);
    assert.deepEqual({ ...theirs, output: mine.output }, mine);
    const bytes = readFileSync(sandbox.at('mine'));
    assert.ok(readFileSync(`${folder}/theirs`).equals(bytes));
    const stats = statSync(`${folder}/theirs`);
    assert.deepEqual([stats.uid, stats.mode & 0o777], [NOBODY, 0o600]);
    const stream = ['export', SESSIONS.lossy, '--accept-loss', '-o', '-'];
    assert.ok((await sandbox.ok(stream, nobody)).stdout.equals(bytes));
  });

  test('the same parts around the image, of files that only the caller may read', async () => {
    mkdirSync(`${folder}/kernel`);
    const made = run('cpio', ['-o', '-H', 'newc', '--quiet'], { cwd: folder, input: 'kernel\n' });
    for (const [name, content] of [
      ['early', made.subarray(0, -4)],
      ['behind', gzipSync(made)],
    ] as const) {
      writeFileSync(`${folder}/${name}`, content, { mode: 0o600 });
      chownSync(`${folder}/${name}`, NOBODY, NOBODY);
    }
    const firmware = `${place.root}/lib/firmware/amd-ucode`;
    mkdirSync(firmware, { recursive: true });
    writeFileSync(`${firmware}/microcode_amd.bin`, 'DMA\0 microcode');
    const words = ['--early', `${folder}/early`, '--early-microcode'];
    const report = (output: string, options: RunOptions = {}) =>
      sandbox.json<{ parts: readonly ImagePart[] }>(
        [
          ...['export', SESSIONS.whole, ...words, '--append', `${folder}/behind`],
          ...['--compress', 'zstd', '-o', output],
        ],
        options,
      );
    const mine = await report(sandbox.at('mine.parts'));
    const theirs = await report(`${folder}/theirs.parts`, nobody);
    assert.deepEqual({ ...theirs, output: null }, { ...mine, output: null });
    assert.deepEqual(
      mine.parts.map(({ kind }) => kind),
      ['early', 'microcode', 'image', 'append'],
    );
    const bytes = readFileSync(sandbox.at('mine.parts'));
    assert.ok(readFileSync(`${folder}/theirs.parts`).equals(bytes));
    await sandbox.fails(
      ['export', SESSIONS.whole, '--append', sandbox.at('mine.parts'), '-o', `${folder}/x`],
      { code: 77, message: /^error: cannot read /m },
      nobody,
    );
  });

  test('a command that cannot write ends at once, whatever the daemon still has to send', async () => {
    writeFileSync(`${place.root}/big`, Buffer.alloc(30 << 20));
    const big = ['export', SESSIONS.whole, '--include', '/big'];
    await sandbox.fails(
      [...big, '-o', `${folder}/none/x`],
      { code: 73, message: /its folder does not exist/ },
      nobody,
    );
    rmSync(`${place.root}/big`);
  });

  test('the same choices', async () => {
    writeFileSync(`${folder}/rules`, Buffer.from('- /etc/\xff*\n+ /usr/lib/\n', 'latin1'));
    chmodSync(`${folder}/rules`, 0o644);
    const choices = [
      ...['--exclude', '/bin/*', '--rules', `${folder}/rules`, '--skeleton'],
      ...['--until', 'boot done', '--on-drift', 'skip', '--strict'],
    ];
    const made = ['export', SESSIONS.whole, ...choices];
    const mine = await sandbox.json<{ rules: unknown[] }>([...made, '-o', sandbox.at('m')]);
    const theirs = await sandbox.json<object>([...made, '-o', `${folder}/m`], nobody);
    assert.equal(mine.rules.length, 3);
    assert.deepEqual({ ...theirs, output: sandbox.at('m') }, mine);
    assert.ok(readFileSync(`${folder}/m`).equals(readFileSync(sandbox.at('m'))));
    for (const [args, code, message] of [
      [['--since', 'no such'], 66, /no mark 'no such'/],
      [['--include', '/no/such', '--strict'], 1, /decides nothing/],
    ] as const)
      await sandbox.fails([...made, ...args, '-o', `${folder}/none`], { code, message }, nobody);
    assert.equal(readdirSync(folder).includes('none'), false);
  });

  test('the same in every format, compressed too', async () => {
    for (const more of [
      ['--compress', 'zstd:1'],
      ['--align'],
      ['--compress', 'lz4', '--format', 'newc-crc'],
      ['--format', 'manifest', '--owner', '0:5', '--group', '0:6'],
      ['--format', 'list0', '--all-root'],
    ]) {
      const args = ['export', SESSIONS.whole, ...more, '-o', '-'];
      const { stdout } = await sandbox.ok(args);
      assert.ok(stdout.length > 100);
      assert.ok((await sandbox.ok(args, nobody)).stdout.equals(stdout), more.join(' '));
    }
    await sandbox.fails(
      ['export', SESSIONS.whole, '-o', `${folder}/x.gz`, '--frame-cache', folder],
      { code: 64, message: /the daemon builds this image/, hint: /as root/ },
      nobody,
    );
    await sandbox.fails(
      ['export', SESSIONS.whole, '-o', `${folder}/x`, '--if-changed'],
      { code: 64, message: /the daemon builds this image/, hint: /as root/ },
      nobody,
    );
    await sandbox.fails(
      ['export', SESSIONS.whole, '-o', `${folder}/x`, '--format', 'gen-init-cpio'],
      { code: 65, message: /gen_init_cpio/, hint: /newc/ },
      nobody,
    );
  });

  test('the same report of what it is made of', async () => {
    for (const name of ['r.json', 'r.html', 'r.txt']) {
      const lossy = ['export', SESSIONS.lossy, '--accept-loss', '--compress', 'gzip'];
      await sandbox.ok([...lossy, '-o', sandbox.at('r'), '--report', sandbox.at(name)]);
      const args = [...lossy, '-o', `${folder}/r`, '--report', `${folder}/${name}`];
      const { sizes } = await sandbox.json<{ sizes?: unknown }>(args, nobody);
      assert.equal(sizes, undefined);
      assert.ok(readFileSync(`${folder}/${name}`).equals(readFileSync(sandbox.at(name))), name);
      assert.equal(statSync(`${folder}/${name}`).uid, NOBODY);
    }
  });

  test('the same warnings', async () => {
    const args = ['export', SESSIONS.partial, '--accept-loss', '-o', `${folder}/doubt`];
    const { stderr } = await sandbox.ok(args, nobody);
    assert.match(stderr, /^warning: built from doubtful sessions: loss 0, partial 1$/m);
    assert.equal(stderr, (await sandbox.ok(args)).stderr);
  });

  test('the same rules', async () => {
    writeFileSync(`${place.root}/init`, '#!/bin/more\n');
    writeFileSync(`${place.root}/bin/more`, '', { mode: 0o755 });
    const report = (output: string, more: readonly string[], options: RunOptions = {}) =>
      sandbox.json<{ output: string; reasons: Record<string, number> }>(
        ['export', SESSIONS.whole, '-o', output, ...more],
        options,
      );
    for (const [more, added] of [
      [[], 1],
      [['--without', 'pam,scripts'], undefined],
    ] as const) {
      const mine = await report(sandbox.at('mine'), more);
      const theirs = await report(`${folder}/theirs`, more, nobody);
      assert.equal(theirs.reasons['interpreter-of'], added);
      assert.deepEqual({ ...theirs, output: mine.output }, mine);
      assert.ok(readFileSync(`${folder}/theirs`).equals(readFileSync(sandbox.at('mine'))));
    }
  });

  test('the same refusals', async () => {
    for (const [expression, code, message] of [
      [SESSIONS.lossy, 65, /3 events may be missing/],
      ['session-77', 66, /no session-77/],
      ['1+5', 64, /session-5 of/],
      ['nonsense', 64, /nonsense/],
      [SESSIONS.elsewhere, 66, /gone/],
    ] as const)
      await sandbox.fails(
        ['export', expression, '-o', `${folder}/refused`],
        { code, message },
        nobody,
      );
    assert.equal(readdirSync(folder).includes('refused'), false);
  });

  test('nothing is left in the state folder', () => {
    const names = readdirSync(sandbox.stateDir).filter((name) => !name.startsWith('trace.db'));
    assert.deepEqual(names, []);
  });

  describe('a broken answer', () => {
    /** Asks a daemon that answers like this. */
    async function against(answer: RequestListener): Promise<void> {
      const socket = sandbox.at('broken.sock');
      const server = createServer(answer).listen(socket);
      await once(server, 'listening');
      chmodSync(socket, 0o666);
      try {
        for (const output of [`${folder}/theirs`, '-'])
          await sandbox.fails(
            ['export', SESSIONS.whole, '--socket', socket, '-o', output],
            { code: 74, message: /connection to the daemon broke/, hint: /log/ },
            nobody,
          );
      } finally {
        server.closeAllConnections();
        server.close();
      }
    }
    const report = `${JSON.stringify({ bytes: 100 })}\n`;

    test('leaves the old file as it was', async () => {
      const before = readFileSync(`${folder}/theirs`);
      await against((_, response) => {
        response.write(report + 'x'.repeat(50), () => response.destroy());
      });
      await against((_, response) => response.end(report + 'x'.repeat(50)));
      await against((_, response) => response.end(report + 'x'.repeat(101)));
      await against((_, response) => response.end('{'));
      await against((_, response) => {
        response.destroy();
      });
      assert.ok(readFileSync(`${folder}/theirs`).equals(before));
      assert.deepEqual(
        readdirSync(folder).filter((name) => name.startsWith('.')),
        [],
      );
    });
  });
});
