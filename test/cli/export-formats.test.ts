/** `trace export` in other formats and compressed, as a person has it. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { before, describe, test } from 'node:test';
import type { ImagePart } from '../../src/image/parts/part.ts';
import { lacks } from '../capabilities.ts';
import { run } from '../image/support.ts';
import { placeForTests, SESSIONS } from '../support/recorded-place.ts';

interface Report {
  readonly bytes: number;
  readonly format: string;
  readonly parts: readonly ImagePart[];
  readonly compression: {
    readonly method: string;
    readonly level: number;
    readonly archive_bytes: number;
    readonly cache: { readonly hits: number; readonly misses: number } | null;
  } | null;
}

describe('trace export', { skip: lacks('root') }, () => {
  const { sandbox, root } = placeForTests();
  let plain: Buffer;
  before(async () => {
    plain = (await sandbox.ok(['export', SESSIONS.whole, '-o', '-'])).stdout;
  });

  const report = (...more: string[]) => sandbox.json<Report>(['export', SESSIONS.whole, ...more]);

  test('compresses as the name says, or the option', async () => {
    const gzip = await report('-o', sandbox.at('a.cpio.gz'));
    assert.deepEqual(
      [gzip.format, gzip.compression?.method, gzip.compression?.level],
      ['newc', 'gzip', 6],
    );
    assert.equal(gzip.compression?.archive_bytes, plain.length);
    const image = readFileSync(sandbox.at('a.cpio.gz'));
    assert.equal(gzip.bytes, image.length);
    assert.ok(gunzipSync(image).equals(plain));
    const zstd = await report('-o', sandbox.at('b.gz'), '--compress', 'zstd:7');
    assert.deepEqual([zstd.compression?.method, zstd.compression?.level], ['zstd', 7]);
    assert.ok(zstdDecompressSync(readFileSync(sandbox.at('b.gz'))).equals(plain));
    const none = await report('-o', sandbox.at('c.gz'), '--compress', 'none');
    assert.equal(none.compression, null);
    assert.ok(readFileSync(sandbox.at('c.gz')).equals(plain));
  });

  test('refuses names of compressions that it does not make, unless the option says one', async () => {
    for (const suffix of ['bz2', 'lzma', 'lzo']) {
      const output = sandbox.at(`never.cpio.${suffix}`);
      await sandbox.fails(['export', SESSIONS.whole, '-o', output], {
        code: 64,
        message: / as \.\w+ says$/,
        hint: /^hint: take \.gz, \.zst, \.xz, \.lz4, or .* --compress$/,
      });
      assert.ok(!existsSync(output));
    }
    await report('-o', sandbox.at('e.lzo'), '--compress', 'none');
    assert.ok(readFileSync(sandbox.at('e.lzo')).equals(plain));
  });

  test('tells what whoever builds a kernel of the list may not read', async () => {
    chmodSync(join(root, 'bin/tool'), 0o750);
    const { problems } = await sandbox
      .json<{ problems: { code: string }[] }>([
        ...['export', SESSIONS.whole, '--format', 'gen-init-cpio', '--init', 'own'],
        ...['--exclude', '/etc/* odd', '-o', sandbox.at('gen.list')],
      ])
      .finally(() => chmodSync(join(root, 'bin/tool'), 0o755));
    assert.ok(problems.some(({ code }) => code === 'sources-not-public'));
  });

  test('begins large files at blocks', async () => {
    const { bytes } = await report('-o', sandbox.at('aligned'), '--align');
    const image = readFileSync(sandbox.at('aligned'));
    assert.equal(bytes, image.length);
    assert.ok(image.subarray(8192).includes('tool'.repeat(1000)));
    assert.equal(image.indexOf('tool'.repeat(1000)) % 4096, 0);
    assert.notEqual(plain.indexOf('tool'.repeat(1000)) % 4096, 0);
  });

  test('keeps frames, and says how many were new', async () => {
    const cache = ['-o', sandbox.at('d.zst'), '--frame-cache', sandbox.at('frames')];
    assert.deepEqual((await report(...cache)).compression?.cache, {
      hits: 0,
      misses: 1,
      damaged: 0,
      failed: 0,
    });
    const { text } = await sandbox.ok(['export', SESSIONS.whole, ...cache]);
    assert.match(text, /by zstd, 0 of 1 frames new/);
  });

  test('puts archives before and behind, and says where', async () => {
    const folder = sandbox.at('parts');
    mkdirSync(folder);
    const input = 'kernel\n';
    mkdirSync(join(folder, 'kernel'));
    const made = run('cpio', ['-o', '-H', 'newc', '--quiet'], { cwd: folder, input });
    writeFileSync(join(folder, 'one.cpio'), made);
    const one = ['--early', join(folder, 'one.cpio'), '--append', join(folder, 'one.cpio')];
    const { parts, bytes } = await report('-o', sandbox.at('parts.cpio'), ...one);
    const at = made.length;
    assert.deepEqual(parts, [
      { kind: 'early', compression: null, offset: 0, bytes: at },
      { kind: 'image', compression: null, offset: at, bytes: plain.length },
      { kind: 'append', compression: null, offset: at + plain.length, bytes: at },
    ]);
    const whole = Buffer.concat([made, plain, made]);
    assert.equal(bytes, whole.length);
    assert.ok(readFileSync(sandbox.at('parts.cpio')).equals(whole));
    const streamed = await sandbox.ok(['export', SESSIONS.whole, '-o', '-', ...one]);
    assert.ok(streamed.stdout.equals(whole));
    assert.deepEqual((await report('-o', sandbox.at('parts.list'), '--format', 'list')).parts, []);
  });

  test('refuses other archives, and to put them around what is none', async () => {
    const fails = (code: number, message: RegExp, ...words: string[]) =>
      sandbox.fails(['export', SESSIONS.whole, '-o', sandbox.at('never'), ...words], {
        code,
        message,
      });
    writeFileSync(sandbox.at('odd'), 'words');
    await fails(65, /odd is not a whole newc archive: /, '--early', sandbox.at('odd'));
    await fails(66, /^error: cannot read .*nowhere/m, '--append', sandbox.at('nowhere'));
    for (const words of [['--early-microcode'], ['--append', sandbox.at('odd')]])
      await fails(64, /--format list is no archive/, '--format', 'list', ...words);
    await fails(1, /--strict: the root has no microcode/, '--early-microcode', '--strict');
    assert.ok(!existsSync(sandbox.at('never')));
  });

  test('writes a manifest of the sessions', async () => {
    const args = ['export', SESSIONS.whole, '--format', 'manifest', '--all-root', '-o', '-'];
    const { sessions, entries } = JSON.parse((await sandbox.ok(args)).text) as {
      sessions: string[];
      entries: { path: string; uid: number; sessions: string[]; evidence: string[] }[];
    };
    assert.deepEqual(sessions, [SESSIONS.whole]);
    const seen = (name: string): unknown[] =>
      entries.flatMap(({ path, ...one }) => (path === name ? [one.sessions, one.evidence] : []));
    assert.deepEqual(seen('bin/tool'), [[SESSIONS.whole], ['nfsd']]);
    assert.deepEqual(seen('proc'), [[], []]);
    assert.ok(entries.every(({ uid }) => uid === 0));
  });
});
