/** `trace export --report`: the three forms, what they are not mixed with, and hostile names. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { htmlReport } from '../../src/cli/size-report/html-report.ts';
import { textReport } from '../../src/cli/size-report/text-report.ts';
import { planImage } from '../../src/image/plan.ts';
import { packagesOf } from '../../src/image/packages/packages-of.ts';
import { weighImage } from '../../src/image/sizes/weigh.ts';
import { lacks } from '../capabilities.ts';
import { MemoryTree } from '../image/memory-tree.ts';
import { placeForTests, SESSIONS } from '../support/recorded-place.ts';

describe('trace export --report', { skip: lacks('root') }, () => {
  const { sandbox, root } = placeForTests();
  let plain: Buffer;
  before(async () => {
    plain = (await sandbox.ok(['export', SESSIONS.whole, '-o', '-'])).stdout;
  });

  const write = async (name: string): Promise<string> => {
    const place = sandbox.at(name);
    const image = sandbox.at('image.cpio');
    await sandbox.ok(['export', SESSIONS.whole, '-o', image, '--report', place]);
    assert.ok(readFileSync(image).equals(plain), 'the image is the same with a report');
    return readFileSync(place, 'utf8');
  };

  test('writes JSON, a page or text, by the name, and the same again', async () => {
    const json = JSON.parse(await write('a.json')) as {
      readonly total: { readonly archive_bytes: number; readonly entries: number };
      readonly bytes: number;
      readonly packages: readonly { readonly owner: string }[];
    };
    assert.equal(json.total.archive_bytes, plain.length);
    assert.equal(json.bytes, plain.length);
    assert.ok(json.packages.some(({ owner }) => owner === 'none'));
    assert.match(await write('a.html'), /^<!DOCTYPE html>[^]*<\/html>\n$/);
    const text = await write('a.txt');
    assert.match(text, /^session-1: \d+ entries/);
    assert.match(text, /\n {2}.* \/bin\n/);
    for (const name of ['a.json', 'a.html', 'a.txt'])
      assert.equal(await write(name), await write(`again-${name}`));
    assert.equal(statSync(sandbox.at('a.json')).mode & 0o777, 0o600);
  });

  test('shows text on standard output, where nothing else is', async () => {
    const image = sandbox.at('b.cpio');
    const { text } = await sandbox.ok(['export', SESSIONS.whole, '-o', image, '--report', '-']);
    assert.match(text, /by directory[^]*by first reason/);
    for (const more of [
      ['-o', '-', '--report', '-'],
      ['-o', image, '--report', '-', '--json'],
      ['-o', image, '--report', image],
    ]) {
      const { code, stderr } = await sandbox.run(['export', SESSIONS.whole, ...more]);
      assert.equal(code, 64);
      assert.match(stderr, /--report/);
    }
  });

  test('tells of a database that it cannot read, and else of none', async () => {
    const problems = async (...more: string[]) => {
      const image = ['export', SESSIONS.whole, '-o', sandbox.at('d'), ...more];
      const { problems } = await sandbox.json<{ problems: { code: string }[] }>(image);
      return problems.map(({ code }) => code).filter((code) => code === 'packages-not-read');
    };
    mkdirSync(`${root}/var/lib/rpm`, { recursive: true });
    writeFileSync(`${root}/var/lib/rpm/rpmdb.sqlite`, 'SQLite format 3');
    assert.deepEqual(await problems('--report', sandbox.at('d.txt')), ['packages-not-read']);
    assert.deepEqual(await problems('--format', 'cyclonedx'), ['packages-not-read']);
    assert.deepEqual(await problems(), []);
    assert.match(readFileSync(sandbox.at('d.txt'), 'utf8'), /\/var\/lib\/rpm\/rpmdb\.sqlite/);
    rmSync(`${root}/var`, { recursive: true });
  });

  test('leaves the image when the report cannot be written', async () => {
    writeFileSync(sandbox.at('c.cpio'), 'old');
    const { code, stderr } = await sandbox.run([
      'export',
      SESSIONS.whole,
      '-o',
      sandbox.at('c.cpio'),
      '--report',
      sandbox.at('no/such/r.html'),
    ]);
    assert.equal(code, 73);
    assert.match(stderr, /--report; the image itself is written/);
    assert.ok(readFileSync(sandbox.at('c.cpio')).equals(plain));
  });
});

describe('the page', () => {
  const NAMES = ['<script>alert(1)</script>', '"\'&amp;', 'new\nline', '\xff', '\u202egpj.exe'];

  async function report(expression = 'session-1') {
    const nodes = Object.fromEntries(
      NAMES.map((name) => [Buffer.from(name).toString('latin1'), { size: 100_000 }]),
    );
    const tree = new MemoryTree(nodes);
    const files = Object.keys(nodes).map((path) => ({
      path: Buffer.from(path, 'latin1'),
      operations: 2,
    }));
    const plan = await planImage({ tree, files, mountPoints: [], devices: [] });
    const packages = await packagesOf(plan.entries, tree);
    const sizes = weighImage({ plan, files, tree, packages });
    const more = { version: '1', sessions: [expression], format: 'newc', compression: null };
    return { ...more, expression, bytes: plan.bytes, sizes };
  }

  test('holds names as text, whatever they are', async () => {
    const page = htmlReport(await report('<b>')).toString();
    assert.match(page, /&lt;script&gt;alert\(1\)&lt;\/script&gt;/);
    assert.match(page, /\/&quot;&#39;&amp;amp;/);
    assert.match(page, /new\\x0aline/);
    assert.match(page, /\\u202egpj/);
    assert.match(page, /Image of &lt;b&gt;/);
    assert.doesNotMatch(page, /<script|<b>|\u202e|\son[a-z]+=/);
  });

  test('refers to nothing, and its policy lets in its own style alone', async () => {
    const page = htmlReport(await report()).toString();
    assert.doesNotMatch(page, /(?:src|href|action|style)=|url\(|@import|https?:/);
    const [, style = ''] = /<style>([^]*)<\/style>/.exec(page) ?? [];
    const hash = createHash('sha256').update(style).digest('base64');
    assert.ok(page.includes(`default-src &#39;none&#39;; style-src &#39;sha256-${hash}&#39;`));
    assert.ok(page.indexOf('Content-Security-Policy') < page.indexOf('<style'));
  });

  test('has a tile, a hint and a name for what is large', async () => {
    const page = htmlReport(await report()).toString();
    assert.equal(page.match(/<rect class="stat" x=/g)?.length, NAMES.length);
    assert.match(page, /<title>\/new\\x0aline: 100 kB, stat<\/title>/);
    assert.match(page, /<text [^>]*>new\\x0aline<\/text>/);
  });

  test('and the text have one line for each name', async () => {
    const text = textReport(await report()).toString();
    assert.match(text, /looked at, never read {2}\/new\\x0aline\n/);
    assert.doesNotMatch(text, /\u202e/);
  });
});
