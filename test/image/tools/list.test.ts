/** `trace image list`, `cat` and `parts`, on images of all makers. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { constants, deflateRawSync } from 'node:zlib';
import { TraceSandbox } from '../../support/trace-sandbox.ts';
import { allPaths, makeTree, run, temporaryFolder } from '../support.ts';
import { compressed, METHODS } from './compressed.ts';
import { archive, directory, file, link, padded, record } from './craft.ts';

let sandbox: TraceSandbox;
before(() => {
  sandbox = new TraceSandbox();
});
after(() => sandbox.remove());

function put(name: string, ...parts: readonly Buffer[]): string {
  writeFileSync(sandbox.at(name), Buffer.concat(parts));
  return sandbox.at(name);
}

async function names(image: string): Promise<string[]> {
  const { stdout } = await sandbox.ok(['image', 'list', '-0', image]);
  return stdout.toString('latin1').split('\0').slice(0, -1);
}

const piped = (image: string, args: string): Promise<string> =>
  sandbox
    .execute(['sh', '-c', `cat "$0" | "$1" "$2" image ${args}`, image, ...sandbox.command([])])
    .then(({ text }) => text);

interface ListedEntry {
  path: string;
  path_base64?: string;
  passed_over: string | null;
  [key: string]: unknown;
}
interface Listed {
  entries: ListedEntry[];
  stop: { code: string; kernel: string | null; offset: number } | null;
}

describe('list', () => {
  test('images of GNU cpio, bsdcpio and busybox: the names that these were given', async (t) => {
    const root = join(temporaryFolder(t), 'root');
    makeTree(root);
    const input = Buffer.concat(
      allPaths(root).map((path) => Buffer.concat([path, Buffer.from([0])])),
    );
    const lines = run('sh', ['-c', "find . ! -name '*\n*' | LC_ALL=C sort"], { cwd: root });
    const made = {
      gnu: run('cpio', ['-o', '-0', '-H', 'newc', '--quiet'], { cwd: root, input }),
      gnuCrc: run('cpio', ['-o', '-0', '-H', 'crc', '--quiet'], { cwd: root, input }),
      bsd: run('bsdcpio', ['-o', '-0', '-H', 'newc', '--quiet'], { cwd: root, input }),
      busybox: run('busybox', ['cpio', '-o', '-H', 'newc'], { cwd: root, input: lines }),
    };
    for (const [maker, bytes] of Object.entries(made)) {
      const image = put(`${maker}.cpio`, bytes);
      const packed = (maker === 'busybox' ? lines.toString('latin1') : '').split('\n');
      const expected =
        maker === 'busybox'
          ? packed.slice(0, -1).map((name) => name.replace(/^\.\//, ''))
          : allPaths(root).map((path) => path.toString('latin1'));
      assert.deepEqual((await names(image)).sort(), expected.sort(), maker);
    }
  });

  test('a path that is not UTF-8', async () => {
    const name = Buffer.concat([Buffer.from(sandbox.at('a')), Buffer.from([0xff])]);
    writeFileSync(name, archive(file('inside')));
    const script = 'printf "%s/a\\377" "$3" | xargs -0 "$1" "$2" image list -l';
    const line = [...sandbox.command([]), sandbox.folder];
    const { code, text, stderr } = await sandbox.execute(['sh', '-c', script, 'sh', ...line]);
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(text, / inside\n$/);
  });

  for (const method of METHODS)
    test(`${method}, from a file and from a pipe`, async () => {
      const plain = archive(directory('a'), file('a/b', Buffer.alloc(3_000_000, 'x')), file('c'));
      const image = put(`x.${method}`, compressed(method, plain));
      assert.deepEqual(await names(image), ['a', 'a/b', 'c']);
      assert.equal(await piped(image, 'list -'), 'a\na/b\nc\n');
    });

  for (const [method, args] of [
    ['xz', ['--block-size=100000']],
    ['xz', ['--x86', '--lzma2']],
    ['xz', ['--check=none', '-0']],
    ['zstd', ['--no-check', '-19']],
    ['gzip', ['-1', '--name']],
    ['lz4', ['-9']],
    ['bzip2', ['-1']],
  ] as const)
    test(`what ${method} ${args.join(' ')} makes, and another behind it`, async () => {
      const noise = Buffer.from(Array.from({ length: 400_000 }, (_, i) => (i * i * 7919) >> 5));
      const [first, second] = [archive(file('a', noise), file('b')), archive(file('c'))];
      const image = put('odd.img', compressed(method, first, args), compressed(method, second));
      assert.deepEqual(await names(image), ['a', 'b', 'c']);
      assert.ok((await sandbox.ok(['image', 'cat', image, 'a'])).stdout.equals(noise));
    });

  test('a window that no kernel allocates', async () => {
    const bytes = run('sh', [
      '-c',
      'zstd -q -c --ultra --long=28 "$1"',
      '-',
      put('x', archive(file('a', Buffer.alloc(140 << 20)))),
    ]);
    await sandbox.fails(['image', 'list', put('wide', bytes)], { code: 65, message: /128 MiB/ });
  });

  test('all parts, whatever lies between', async () => {
    const one = (name: string) => archive(directory(name), file(`${name}/x`));
    const image = put(
      'many.img',
      one('kernel'),
      Buffer.alloc(512),
      padded(compressed('gzip', one('g'))),
      padded(compressed('zstd', one('z'))),
      padded(compressed('zstd', one('z2'))),
      padded(compressed('xz', one('x'))),
      one('plain'),
      compressed('lz4', one('l')),
    );
    const expected = ['kernel', 'g', 'z', 'z2', 'x', 'plain', 'l'].flatMap((n) => [n, `${n}/x`]);
    assert.deepEqual(await names(image), expected);
    assert.equal(await piped(image, 'list -'), `${expected.join('\n')}\n`);
  });

  test('odd names stay one line', async () => {
    const image = put('odd.cpio', archive(file('new\nline'), file('\x1b[31m'), file('\xff\xfe')));
    const { text } = await sandbox.ok(['image', 'list', image]);
    assert.equal(text, 'new\\x0aline\n\\x1b[31m\n\\xff\\xfe\n');
    const { entries } = await sandbox.json<Listed>(['image', 'list', image]);
    assert.deepEqual(
      entries.map(({ path, path_base64 }) => [path, path_base64]),
      [
        ['new\nline', undefined],
        ['\u001b[31m', undefined],
        ['\ufffd\ufffd', '//4='],
      ],
    );
  });

  test('-l: modes, owners, devices, links', async () => {
    const image = put(
      'long.cpio',
      archive(
        directory('tmp', { mode: 0o041777 }),
        file('su', 'abc', { mode: 0o104755, uid: 1, gid: 42 }),
        record({ name: 'null', mode: 0o020666, rdev: [1, 3] }),
        link('sh', 'busy box\n'),
      ),
    );
    const { text } = await sandbox.ok(['image', 'list', '-l', image]);
    assert.deepEqual(text.split('\n'), [
      'drwxrwxrwt   2     0     0          0 2001-09-09 01:46 tmp',
      '-rwsr-xr-x   1     1    42          3 2001-09-09 01:46 su',
      'crw-rw-rw-   1     0     0       1, 3 2001-09-09 01:46 null',
      'lrwxrwxrwx   1     0     0          9 2001-09-09 01:46 sh -> busy box\\x0a',
      '',
    ]);
  });

  test('cut off anywhere: what was there, and status 65; never a hang or a crash', async () => {
    const whole = archive(directory('a'), file('a/b', 'bytes'), link('c', 'a/b'));
    const length = whole.lastIndexOf('TRAILER!!!') - 110;
    for (let at = 1; at < length; at += 61) {
      const { code, json } = await sandbox.run([
        'image',
        'list',
        put('cut', whole.subarray(0, at)),
        '--json',
      ]);
      const { entries, stop } = json as Listed;
      // The kernel does not miss the zeros behind data.
      assert.equal(code, stop === null ? 0 : 65, `cut at ${at}`);
      if (stop !== null) assert.deepEqual([stop.code, stop.kernel], ['cut-off', null]);
      assert.deepEqual(
        entries.map(({ path }) => path),
        ['a', 'a/b', 'c'].slice(0, entries.length),
      );
    }
    for (const method of METHODS) {
      const bytes = compressed(method, archive(file('x', Buffer.from(whole.toString('hex')))));
      for (const part of [0.2, 0.6, 0.95]) {
        const image = put(`cut.${method}`, bytes.subarray(0, Math.ceil(bytes.length * part)));
        await sandbox.fails(['image', 'list', image], { code: 65, message: /is broken/ });
      }
    }
  });

  test('sizes that are not so', async () => {
    for (const [what, bytes] of Object.entries({
      'a body of 4 GiB': record({ name: 'x', size: 0xffffffff }),
      'a link of 4 GiB': record({ name: 'x', mode: 0o120777, size: 0xffffffff }),
      'a name of 4 GiB': record({ name: 'x', nameSize: 0xffffffff }),
    })) {
      const { code, json } = await sandbox.run(['image', 'list', put('big', bytes), '--json']);
      assert.deepEqual([code, (json as Listed).stop?.code], [65, 'cut-off'], what);
    }
  });

  test('a program that is missing', async () => {
    const image = put('x.lz4', compressed('lz4', archive(file('a'))));
    await sandbox.fails(
      ['image', 'list', image],
      { code: 69, message: /no lz4 here, and a part/, hint: /install the package lz4/ },
      { env: { PATH: sandbox.folder } },
    );
  });

  test('what is often taken for an image: its name, and what to do', async () => {
    const there = { cwd: sandbox.folder };
    const made = {
      "cpio's old binary format": run('sh', ['-c', 'echo . | cpio -o -H bin'], there),
      'a tar archive': run('tar', ['-c', '--no-recursion', '.'], there),
      'a kernel': Buffer.concat([Buffer.alloc(0x202, 'M'), Buffer.from('HdrS')]),
    };
    for (const [name, bytes] of Object.entries(made))
      await sandbox.fails(['image', 'list', put('other', bytes)], {
        code: 65,
        message: new RegExp(name),
        hint: /cpio -o -H newc/,
      });
    const behind = put('behind', archive(file('a')), made['a tar archive']);
    await sandbox.fails(['image', 'list', behind], {
      code: 65,
      message: /a tar archive/,
      hint: /a multiple of 4/,
    });
  });

  test('what is no image', async () => {
    for (const [bytes, message] of [
      ['hello', /neither a record nor compressed/],
      ['070707', /middle of a record/],
      [`070707${'0'.repeat(200)}`, /old portable format/],
      [`0${'x'.repeat(200)}`, /no record/],
    ] as const)
      await sandbox.fails(['image', 'list', put('none', Buffer.from(bytes))], {
        code: 65,
        message,
      });
    await sandbox.fails(['image', 'list', sandbox.at('absent')], {
      code: 66,
      message: /cannot read .*absent/,
      hint: /standard input/,
    });
    await sandbox.fails(['image', 'list', sandbox.folder], { code: 74, message: /cannot read/ });
    assert.deepEqual(await names(put('empty')), []);
  });
});

describe('cat', () => {
  test('the last record of a path, by any of its names, through links', async () => {
    const image = put(
      'cat.cpio',
      archive(
        directory('usr'),
        link('bin', 'usr'),
        file('usr/a', 'old'),
        record({ name: 'h1', nlink: 2, ino: 7 }),
        record({ name: 'h2', nlink: 2, ino: 7, data: 'both' }),
      ),
      compressed('gzip', archive(file('bin/a', 'new'), file('\xff', 'odd'))),
    );
    for (const [path, content] of [
      ['usr/a', 'new'],
      ['/bin/a', 'new'],
      ['h1', 'both'],
    ] as const)
      assert.equal((await sandbox.ok(['image', 'cat', image, path])).text, content);
    assert.equal(await piped(image, 'cat - bin/../usr/a'), 'new');
    // Of what is lost when it is decoded, two that look the same.
    const lost = put('lost.cpio', archive(file('\xff', 'one'), file('\xfe', 'other')));
    for (const [path, content] of [
      ['\\377', 'one'],
      ['\\376', 'other'],
    ] as const)
      assert.equal(await piped(lost, `cat - "$(printf '${path}')"`), content);
    await sandbox.fails(['image', 'cat', image, 'usr/b'], {
      code: 66,
      message: /has no usr\/b/,
      hint: /bad\\xff, is \$'bad\\xff' here$/,
    });
    const types = [
      ['directory', 0o040755],
      ['fifo', 0o010644],
      ['socket', 0o140644],
      ['character device', 0o020600],
      ['block device', 0o060600],
    ] as const;
    for (const [type, mode] of types) {
      const one = put('one', archive(record({ name: 'x', mode })));
      const message = new RegExp(`x of .* is a ${type}$`);
      await sandbox.fails(['image', 'cat', one, 'x'], { code: 1, message });
    }
    const gone = put('gone', archive(link('init', 'nowhere')), Buffer.from('no record'));
    await sandbox.fails(['image', 'cat', gone, 'init'], {
      code: 66,
      message: /is broken, and what comes before that has nothing where its link init leads/,
    });
    await sandbox.fails(['image', 'cat', image, 'h1', '--json'], { code: 64, message: /--json/ });
  });

  test('a large file, byte by byte the same', async (t) => {
    const big = Buffer.alloc(20_000_001, 'Of many bytes. ');
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, 'big'), big);
    const plain = run('cpio', ['-o', '-H', 'newc', '--quiet'], { cwd: folder, input: 'big\n' });
    for (const image of [put('big.cpio', plain), put('big.zst', compressed('zstd', plain))])
      assert.ok((await sandbox.ok(['image', 'cat', image, 'big'])).stdout.equals(big));
  });
});

describe('parts', () => {
  interface Parts {
    parts: Record<string, unknown>[];
    rest: number;
    bytes: number;
  }

  test('offsets, compressions, frames, padding', async () => {
    const early = archive(directory('kernel'));
    const zstd = compressed('zstd', archive(file('a')));
    const second = archive(file('b'), file('c'));
    const image = put('parts.img', early, padded(Buffer.concat([zstd, zstd])), second);
    const { parts, rest, bytes } = await sandbox.json<Parts>(['image', 'parts', image]);
    assert.equal(bytes, readFileSync(image).length);
    assert.equal(rest, 0);
    const ofArchive = (archived: Buffer) => archived.lastIndexOf('TRAILER!!!') - 110 + 124;
    const [one, two, three] = parts;
    assert.deepEqual(one, {
      offset: 0,
      bytes: ofArchive(early),
      compression: null,
      frames: 0,
      entries: 1,
      trailers: 1,
      padding: early.length - ofArchive(early),
      unpacked_bytes: ofArchive(early),
    });
    assert.deepEqual(two, {
      offset: early.length,
      bytes: 2 * zstd.length,
      compression: 'zstd',
      frames: 2,
      entries: 2,
      trailers: 2,
      padding: (-2 * zstd.length) & 3,
      unpacked_bytes: 1024,
    });
    assert.deepEqual([three?.['offset'], three?.['entries']], [bytes - second.length, 2]);
    const { text } = await sandbox.ok(['image', 'parts', image]);
    assert.equal(text.split('\n').length, 5);
  });

  test('archives that follow each other are parts of their own; what follows a stop is the rest', async () => {
    const [a, b] = [archive(file('a')), archive(file('b'))];
    const image = put('rest.img', a, b, Buffer.from('junk'), a);
    const { code, json } = await sandbox.run(['image', 'parts', image, '--json']);
    assert.equal(code, 65);
    const { parts, rest } = json as Parts;
    assert.deepEqual(
      parts.map(({ offset }) => offset),
      [0, a.length],
    );
    assert.equal(rest, 4 + a.length + b.length - (b.lastIndexOf('TRAILER!!!') - 110 + 124));
  });

  test('a compressed member that the kernel stops in is the same through a pipe', async () => {
    const bad = record({ name: 'bad', magic: '07070x' });
    const much = file('much', randomBytes(300_000));
    const packed = compressed('gzip', Buffer.concat([record({ name: 'first' }), bad, much]));
    const image = put('stopped.img', packed, archive(file('b')));
    const { json } = await sandbox.run(['image', 'parts', image, '--json']);
    const { parts, rest, bytes, stop } = json as Parts & { readonly stop: { offset: number } };
    const first = record({ name: 'first' }).length;
    assert.deepEqual([bytes, rest, stop.offset], [readFileSync(image).length, 0, first]);
    assert.deepEqual([parts[0]?.['bytes'], parts[0]?.['unpacked_bytes']], [bytes, first]);
    const through = JSON.parse(await piped(image, 'parts - --json')) as Parts;
    assert.deepEqual({ ...through, image }, json);
  });

  test('so is one that is damaged: what comes out before that', async () => {
    const files = Array.from({ length: 12 }, (_, n) => file(`f${n}`, randomBytes(1700)));
    const whole = deflateRawSync(archive(...files), { finishFlush: constants.Z_FULL_FLUSH });
    const header = Buffer.from('1f8b0800000000000003', 'hex');
    const image = put('damaged.img', header, whole, Buffer.alloc(10_000, 0xff));
    const { json } = await sandbox.run(['image', 'parts', image, '--json']);
    const { parts } = json as Parts;
    assert.ok(Number(parts[0]?.['unpacked_bytes']) > 10_000);
    const through = JSON.parse(await piped(image, 'parts - --json')) as Parts;
    assert.deepEqual({ ...through, image }, json);
  });
});
