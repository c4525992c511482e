/** Packages of a root by rpm's database: what real rpm writes, and hostile ones. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import Sqlite from 'better-sqlite3';

import { exportImage } from '../export-image.ts';
import { findPackages } from '../../../src/image/packages/find-packages.ts';
import { packageUrl } from '../../../src/image/packages/package.ts';
import { RpmHeader } from '../../../src/image/packages/rpm-header.ts';
import { unreadProblems } from '../../../src/image/packages/unread-problems.ts';
import { Resolver } from '../../../src/image/resolve.ts';
import { lacks } from '../../capabilities.ts';
import { openTree, planAll, put, run, temporaryFolder } from '../support.ts';

const DATABASE = 'var/lib/rpm/rpmdb.sqlite';

async function find(t: TestContext, root: string, paths: readonly string[]) {
  const tree = openTree(t, root);
  const resolver = new Resolver(tree, await tree.symlinks());
  const { owners, ...rest } = findPackages({ tree, resolver, paths: new Set(paths) });
  return { owners, ...rest, names: paths.map((path) => owners.get(path)?.name ?? null) };
}

describe('a root that rpm made', { skip: lacks('root', 'rpm') }, () => {
  /** Builds a package with these files. */
  function build(folder: string, spec: string, files: Readonly<Record<string, string>>): string {
    const [, name = ''] = /^Name: (.*)$/m.exec(spec) ?? [];
    const made = join(folder, `${name}-${spec.length}`);
    for (const [path, content] of Object.entries(files)) put(join(made, 'content', path), content);
    const lines = Object.keys(files).map((path) => `"/${path}"`);
    const all =
      `${spec}Summary: x\n%description\nx\n%install\ncp -a ${made}/content/. %{buildroot}\n` +
      `%files\n${lines.join('\n')}\n`;
    writeFileSync(`${made}.spec`, all);
    const define = (text: string) => ['--define', text];
    const words = [
      '--quiet',
      '-bb',
      ...define(`_topdir ${made}/top`),
      ...define('debug_package %{nil}'),
    ];
    run('rpmbuild', [...words, ...define('__os_install_post %{nil}'), `${made}.spec`]);
    return run('find', [`${made}/top/RPMS`, '-name', '*.rpm'])
      .toString()
      .trim();
  }

  it('with links for directories, epochs, two versions, and what one package took over', async (t) => {
    const folder = temporaryFolder(t);
    const root = join(folder, 'root');
    for (const path of ['usr/lib', 'usr/bin', 'usr/lib/sysimage/rpm', 'var/lib'])
      mkdirSync(join(root, path), { recursive: true });
    symlinkSync('usr/lib', join(root, 'lib'));
    symlinkSync('usr/bin', join(root, 'bin'));
    symlinkSync('../../usr/lib/sysimage/rpm', join(root, 'var/lib/rpm'));
    put(join(root, 'etc/os-release'), 'ID=fedora\nVERSION_ID=40\n');
    const rpm = (...args: string[]) =>
      run('rpm', [`--root=${root}`, '--dbpath=/usr/lib/sysimage/rpm', ...args]);
    const install = (...packages: string[]) =>
      rpm('-i', '--nodeps', '--noscripts', '--replacefiles', '--force-debian', ...packages);
    const head = (name: string, more: string) => `Name: ${name}\n${more}BuildArch: noarch\n`;
    rpm('--initdb');
    install(
      build(folder, head('first', 'Epoch: 2\nVersion: 1.0~rc1\nRelease: 3\nLicense: MIT\n'), {
        'bin/tool': 'one',
        'usr/lib/first.so': 'f',
        'usr/a b': '',
        'usr/taken': 'first',
      }),
    );
    install(
      build(folder, head('second', 'Version: 1\nRelease: 1\nLicense: GPL\n'), {
        'usr/taken': 'second',
        'lib/of second': 'x',
      }),
    );
    for (const version of ['9', '10'])
      install(
        build(folder, head('kernel', `Version: ${version}\nRelease: 1\nLicense: GPL\n`), {
          [`usr/lib/modules-${version}`]: 'm',
          'usr/both': 'same',
        }),
      );
    install(
      build(folder, head('gone', 'Version: 1\nRelease: 1\nLicense: GPL\n'), { 'usr/gone': '' }),
    );
    rpm('-e', 'gone');
    put(join(root, 'usr/gone'), 'of nobody');
    const files = [
      'usr/bin/tool',
      'usr/lib/first.so',
      'usr/a b',
      'usr/taken',
      'usr/lib/of second',
      'usr/lib/modules-9',
      'usr/lib/modules-10',
      'usr/both',
      'usr/gone',
      'lib',
    ];
    const before = readFileSync(join(root, 'usr/lib/sysimage/rpm/rpmdb.sqlite'));
    const found = await find(t, root, files);
    assert.deepEqual(found.unread, []);
    assert.deepEqual(found.names, [
      ...['first', 'first', 'first', 'second', 'second'],
      ...['kernel', 'kernel', 'kernel', null, null],
    ]);
    assert.equal(found.owners.get('usr/lib/modules-10')?.version, '10-1');
    assert.equal(found.owners.get('usr/both')?.version, '10-1');
    const first = found.owners.get('usr/bin/tool');
    assert.deepEqual(first, {
      ...{ kind: 'rpm', name: 'first', version: '2:1.0~rc1-3' },
      ...{ architecture: 'noarch', licence: 'MIT' },
    });
    assert.equal(
      packageUrl(first, found.distribution),
      'pkg:rpm/fedora/first@1.0~rc1-3?arch=noarch&distro=fedora-40&epoch=2',
    );
    assert.ok(before.equals(readFileSync(join(root, 'usr/lib/sysimage/rpm/rpmdb.sqlite'))));
    const urls = (await billOfMaterials(t, root)).map(({ purl }) => purl).filter(Boolean);
    assert.deepEqual(urls, [
      'pkg:rpm/fedora/first@1.0~rc1-3?arch=noarch&distro=fedora-40&epoch=2',
      'pkg:rpm/fedora/kernel@10-1?arch=noarch&distro=fedora-40',
      'pkg:rpm/fedora/kernel@9-1?arch=noarch&distro=fedora-40',
      'pkg:rpm/fedora/second@1-1?arch=noarch&distro=fedora-40',
    ]);
  });

  async function billOfMaterials(t: TestContext, root: string): Promise<{ purl?: string }[]> {
    const tree = openTree(t, root);
    const output = join(temporaryFolder(t), 'bom.json');
    await exportImage({ plan: await planAll(root, tree), tree, output, format: 'cyclonedx' });
    return (JSON.parse(readFileSync(output, 'utf8')) as { components: { purl?: string }[] })
      .components;
  }
});

type Value = string | readonly string[] | readonly number[];
const TAGS = { name: 1000, version: 1001, release: 1002, epoch: 1003, licence: 1014 } as const;
const [STRING, INT32, STRINGS, CHAR] = [6, 4, 8, 1];

/** A header of these tags: each a type, values, and a count if it is to be a lie. */
function header(tags: readonly (readonly [number, number, Value, number?])[]): Buffer {
  const index: Buffer[] = [];
  const data: Buffer[] = [];
  let offset = 0;
  for (const [tag, type, value, count] of tags) {
    const values = typeof value === 'string' ? [value] : value;
    const bytes = Buffer.concat(
      values.map((one) => {
        if (typeof one === 'string') return Buffer.from(`${one}\0`, 'latin1');
        const number = Buffer.alloc(type === CHAR ? 1 : 4);
        number.writeUIntBE(one, 0, number.length);
        return number;
      }),
    );
    const entry = Buffer.alloc(16);
    [tag, type, offset, count ?? values.length].forEach((one, at) =>
      entry.writeUInt32BE(one, 4 * at),
    );
    index.push(entry);
    data.push(bytes);
    offset += bytes.length;
  }
  const intro = Buffer.alloc(8);
  intro.writeUInt32BE(index.length, 0);
  intro.writeUInt32BE(offset, 4);
  return Buffer.concat([intro, ...index, ...data]);
}

const named = (
  name: string,
  files: readonly string[] = [],
  more: Parameters<typeof header>[0] = [],
) =>
  header([
    ...more,
    [TAGS.name, STRING, name],
    [TAGS.version, STRING, '1'],
    [TAGS.release, STRING, '2'],
    [1116, INT32, files.map(() => 0)],
    [1117, STRINGS, files],
    [1118, STRINGS, ['/etc/']],
  ]);

const filesOf = (blob: Buffer) =>
  [...(RpmHeader.parse(blob)?.files() ?? [])].map((one) => one?.name);

describe("a package's header", () => {
  it('has files but those that are not there', () => {
    const states = [1029, CHAR, [0, 1, 2, 0]] as const;
    assert.deepEqual(filesOf(named('a', ['w', 'x', 'y', 'z'], [states])), ['w', 'z']);
    assert.deepEqual(filesOf(named('a')), []);
  });

  it('is none without its name, version and release, or if they are odd', () => {
    const parse = (...tags: Parameters<typeof header>[0]) =>
      RpmHeader.parse(header(tags))?.package();
    const sound = [
      [TAGS.name, STRING, 'a'],
      [TAGS.version, STRING, '1'],
      [TAGS.release, STRING, '2'],
    ] as const;
    assert.equal(parse(...sound)?.version, '1-2');
    assert.equal(parse(...sound, [TAGS.epoch, INT32, [0]])?.version, '0:1-2');
    assert.equal(parse(...sound, [TAGS.epoch, INT32, []])?.version, '1-2');
    assert.equal(parse(...sound, [TAGS.licence, STRING, 'a\nb'])?.licence, null);
    for (const bad of ['', 'a b', 'a\x01', 'x'.repeat(201), '1:2', '1-2'])
      assert.equal(parse([TAGS.version, STRING, bad], ...sound), null, bad);
    assert.equal(parse([TAGS.name, STRINGS, ['a']], ...sound), null);
    assert.equal(parse(...sound.slice(1)), null);
  });

  it('of any bytes is read in no time, and never beyond its end', () => {
    const good = named('a', ['x', 'y']);
    for (let length = 0; length < good.length; length++)
      assert.doesNotThrow(() => filesOf(good.subarray(0, length)));
    for (let at = 0; at < good.length; at++)
      for (const byte of [0, 0x7f, 0xff]) {
        const bad = Buffer.from(good);
        bad[at] = byte;
        assert.doesNotThrow(() => [RpmHeader.parse(bad)?.package(), filesOf(bad)]);
      }
    const most = 0xffff_ffff;
    assert.deepEqual(filesOf(header([[1117, STRINGS, ['x'], most]])), [undefined]);
    const lies = named('a', [], [[1029, CHAR, [1], most]]);
    assert.deepEqual(filesOf(lies), []);
    const many = Buffer.alloc(8);
    many.writeUInt32BE(most, 0);
    assert.equal(RpmHeader.parse(many), null);
  });
});

/** A database as rpm makes it, or by other words. */
function database(rows: readonly (Buffer | string | null)[], schema?: string): Buffer {
  const made = new Sqlite(':memory:');
  made.exec(
    schema ??
      "CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)",
  );
  if (rows.length > 0) {
    const insert = made.prepare('INSERT INTO Packages (blob) VALUES (?)');
    for (const row of rows) insert.run(row);
  }
  const bytes = made.serialize();
  made.close();
  return bytes;
}

const PAGE = 4096;

/** All rows of the only leaf, page 2, go on in the pages of the first; those of the others are cut off. */
function shareOverflow(whole: Buffer): Buffer {
  const leaf = whole.subarray(PAGE, 2 * PAGE);
  const pages: number[] = [];
  for (let cell = leaf.readUInt16BE(3) - 1; cell >= 0; cell--) {
    let at = leaf.readUInt16BE(8 + 2 * cell);
    let length = 0;
    let byte = 0x80;
    while (byte >= 0x80) length = length * 128 + ((byte = leaf[at++] ?? 0) & 0x7f);
    while ((leaf[at++] ?? 0) >= 0x80);
    // What is kept on the page itself: https://www.sqlite.org/fileformat.html, 1.6.
    const least = Math.floor(((PAGE - 12) * 32) / 255) - 23;
    const some = least + ((length - least) % (PAGE - 4));
    at += some <= PAGE - 35 ? some : least;
    pages.push(leaf.readUInt32BE(at));
    leaf.writeUInt32BE(3, at);
  }
  const first = pages.toSorted((a, b) => a - b);
  assert.equal(first[0], 3);
  const count = (first[1] ?? 0) - 1;
  whole.writeUInt32BE(count, 28);
  return whole.subarray(0, count * PAGE);
}

describe('a database of rpm', () => {
  async function findIn(t: TestContext, bytes: Buffer, path = DATABASE) {
    const root = join(temporaryFolder(t), 'root');
    put(join(root, path), bytes);
    return find(t, root, ['etc/a', 'etc/b']);
  }

  it('gives a file that two packages have to the same one, whatever their order', async (t) => {
    for (const order of [
      ['one', 'two'],
      ['two', 'one'],
    ]) {
      const rows = order.map((name) => named(name, ['a', name === 'two' ? 'b' : 'c']));
      assert.deepEqual((await findIn(t, database(rows))).names, ['one', 'two']);
    }
  });

  it('with odd headers tells how many, and gives the others', async (t) => {
    const rows = [
      named('good', ['a']),
      Buffer.from('nonsense'),
      named('bad name', ['b']),
      'text',
      named('short', [], [[1117, STRINGS, [], 9]]),
    ];
    const { names, unread } = await findIn(t, database(rows));
    assert.deepEqual(names, ['good', null]);
    assert.deepEqual(
      unread.map(({ path, why }) => `${path}: ${why}`),
      [`${DATABASE}: 4 packages are not rpm's`],
    );
  });

  it('that is made to harm is one problem', async (t) => {
    const endless =
      'WITH RECURSIVE n(hnum) AS (VALUES(1) UNION ALL SELECT hnum + 1 FROM n) SELECT hnum, zeroblob(9) AS blob FROM n';
    for (const [bytes, why] of [
      [database([], `CREATE VIEW Packages AS ${endless}`), /no table of packages/],
      [
        database([], 'CREATE VIRTUAL TABLE Packages USING fts5(hnum, blob)'),
        /no table of packages/,
      ],
      [
        database([], 'CREATE TABLE Packages (hnum INTEGER, blob AS (zeroblob(1000000000)))'),
        /no table of packages/,
      ],
      [database([], 'CREATE TABLE Other (x)'), /no table of packages/],
      [
        database([], 'CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob) WITHOUT ROWID'),
        /no such column/,
      ],
      [Buffer.from('SQLite format 3\0'), /cut off/],
      [Buffer.alloc(4096, 'x'), /not a database/],
      [database([named('a', ['a'])]).subarray(0, 4096), /malformed/],
    ] as const) {
      const found = await findIn(t, bytes);
      assert.match(found.unread.map((one) => one.why).join(), why);
      const [problem, ...more] = unreadProblems(found);
      assert.equal(problem?.code, 'packages-not-read');
      assert.deepEqual(more, []);
    }
  });

  it('of any damaged bytes ends, with a problem or without', async (t) => {
    const root = join(temporaryFolder(t), 'root');
    const rows = Array.from({ length: 40 }, (_, i) => named(`p${i}`, ['a', 'x'.repeat(i * 90)]));
    const good = database(rows);
    let state = 1;
    const next = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % below;
    };
    for (let round = 0; round < 300; round++) {
      const bad = Buffer.from(good);
      for (let n = 0; n < 4; n++) bad[next(2) === 0 ? next(bad.length) : next(200)] = next(256);
      put(join(root, DATABASE), bad);
      assert.ok((await find(t, root, ['etc/a'])).unread.length <= 1);
    }
  });

  it('whose rows share their pages is not read again and again', async (t) => {
    // Little of it is on the leaf, so that all eight are on one.
    const blob = Buffer.concat([named('a', ['x']), Buffer.alloc(98_695)]).subarray(0, 98_695);
    const schema = 'CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)';
    const bytes = shareOverflow(database(Array<Buffer>(8).fill(blob), schema));
    assert.ok(bytes.length < 2 * blob.length);
    const { unread } = await findIn(t, bytes);
    assert.match(unread[0]?.why ?? '', /more than it has bytes/);
  });

  it('too large, or with changes that are not in it yet, is told', async (t) => {
    const root = join(temporaryFolder(t), 'root');
    put(join(root, DATABASE), database([named('a', ['a'])]));
    put(join(root, `${DATABASE}-wal`), '');
    assert.deepEqual((await find(t, root, ['etc/a'])).unread, []);
    put(join(root, `${DATABASE}-wal`), 'changes');
    const found = await find(t, root, ['etc/a']);
    assert.deepEqual(found.names, ['a']);
    assert.match(found.unread[0]?.why ?? '', /changes that rpm/);
    truncateSync(join(root, DATABASE), 2 ** 32);
    assert.match((await find(t, root, ['etc/a'])).unread[0]?.why ?? '', /too large/);
  });

  it('of older kinds is told with what makes it one that is read', async (t) => {
    for (const [path, kind] of [
      ['var/lib/rpm/Packages', /Berkeley DB/],
      ['usr/lib/sysimage/rpm/Packages.db', /ndb/],
    ] as const) {
      const found = await findIn(t, Buffer.from('x'), path);
      assert.match(found.unread[0]?.why ?? '', kind);
      assert.match(unreadProblems(found)[0]?.hint ?? '', /rebuilddb/);
    }
  });
});
