/**
 * trace-quick: what it answers without Node is, byte for byte, what Node would; all else is Node's.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { escapeName } from '../../../src/cli/output.ts';
import { Input } from '../../../src/image/tools/input.ts';
import { walkImage } from '../../../src/image/tools/walk-image.ts';
import { lacks } from '../../capabilities.ts';
import { anyArchive } from '../../fuzz/targets/images.ts';
import { mutate } from '../../fuzz/mutate.ts';
import { Random } from '../../fuzz/random.ts';
import { compressed } from './compressed.ts';
import { archive, directory, file, link, padded, record } from './craft.ts';
import { CRAFTED } from './crafted-images.ts';

const REPOSITORY = join(import.meta.dirname, '../../..');
const QUICK = join(REPOSITORY, 'build/Release/trace-quick');
const PROGRAM = '/dist/cli/bin.cjs';
/** Instead of Node: it says with what it was called. */
const ECHO = '/bin/echo';

let folder: string;
before(() => (folder = mkdtempSync(join(tmpdir(), 'trace-quick-'))));
after(() => rmSync(folder, { recursive: true }));

const at = (name: string): string => join(folder, name);
function put(bytes: Buffer, name = 'image'): string {
  writeFileSync(at(name), bytes);
  return at(name);
}

interface Answer {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}
const run = (command: string, ...args: readonly string[]): Answer =>
  spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28 });

/** Its own answer, or null if it leaves it to Node. */
function quick(image: string): string | null {
  const { status, stdout, stderr } = run(QUICK, ECHO, PROGRAM, 'image', 'list', image);
  assert.deepEqual([status, stderr], [0, '']);
  return stdout === `${PROGRAM} image list ${image}\n` ? null : stdout;
}

/** What the command says of an image that it has nothing to warn of; null of others. */
async function whole(image: string): Promise<string | null> {
  const input = Input.open(image);
  let [lines, odd, packed] = ['', false, false];
  try {
    const { stop } = await walkImage(input, {
      member: ({ compression }) => (packed ||= compression !== null),
      record: ({ name, passedOver }) => {
        odd ||= passedOver !== null;
        if (name === '') return null;
        const shown = escapeName(Buffer.from(name, 'latin1'));
        odd ||= Buffer.from(shown).toString('latin1') !== name;
        lines += `${shown}\n`;
        return null;
      },
    });
    return stop !== null || odd || packed || lines === '' ? null : lines;
  } finally {
    input.close();
  }
}

describe('an image', () => {
  for (const { what, bytes } of CRAFTED)
    test(`crafted: ${what}`, async () => {
      const image = put(bytes);
      assert.equal(quick(image), await whole(image));
    });

  test('of many kinds, right and a little wrong: the same answer, or none', async () => {
    let answered = 0;
    for (let turn = 0; turn < 1500; turn++) {
      const random = new Random(11, turn);
      const made = anyArchive(random);
      const image = put(random.once(2) ? mutate(random, made) : made);
      const mine = quick(image);
      assert.equal(mine, await whole(image), `turn ${turn}`);
      if (mine !== null) answered++;
    }
    assert.ok(answered > 200 && answered < 1300, `${answered} answered`);
  });

  test('large, of several archives, with zeros between', async () => {
    const records = Array.from({ length: 3000 }, (_, index) =>
      file(`folder/file-${index}`, Buffer.alloc((index * 7919) % 40_000, 'x')),
    );
    const one = archive(directory('folder'), ...records, link('link', 'folder'));
    const image = put(Buffer.concat([Buffer.alloc(70_000), one, Buffer.alloc(200_000), one]));
    const lines = quick(image);
    assert.equal(lines?.split('\n').length, 2 * 3002 + 1);
    assert.equal(lines, await whole(image));
  });

  test('a file of the name that ends an archive', async () => {
    const image = put(archive(file('a'), file('./TRAILER!!!'), file('./b')));
    assert.equal(quick(image), 'a\nTRAILER!!!\n./b\n');
    assert.equal(quick(image), await whole(image));
  });

  test('names in UTF-8 are shown, others are left to Node', () => {
    const shown = ['é', '€', '𐍈', '\u00a0', '\u07ff', '\u0800', '\ud7ff', '\ue000', '\u{10ffff}'];
    assert.equal(
      quick(put(archive(...shown.map(utf8)))),
      shown.map((name) => `${name}\n`).join(''),
    );
    const hidden = ['0a', '7f', 'c280', 'c29f', 'c0af', 'e0808a', 'eda080', 'f4908080', 'ff', 'c3', 'f09d84']; // prettier-ignore
    for (const hex of hidden) {
      const name = Buffer.concat([Buffer.from(hex, 'hex'), Buffer.from([0])]);
      assert.equal(quick(put(archive(record({ name })))), null, hex);
    }
  });

  test(
    'that becomes shorter while it is read: left to Node, which says so',
    { skip: lacks('strace') },
    async () => {
      const good = archive(
        ...Array.from({ length: 40 }, (_, index) => file(`f${index}`, 'x'.repeat(9000))),
      );
      const image = put(good, 'shrinking');
      const slow = ['-f', '-qq', '-o', at('calls'), '-e', 'trace=pread64'];
      const args = [...slow, '-e', 'inject=pread64:delay_enter=20000', QUICK, ECHO, PROGRAM];
      const child = spawn('strace', [...args, 'image', 'list', image], { stdio: 'pipe' });
      const said = text(child.stdout);
      await delay(300);
      truncateSync(image, 100_000);
      assert.equal(await said, `${PROGRAM} image list ${image}\n`);

      writeFileSync(image, good);
      const input = Input.open(image);
      try {
        const walk = walkImage(input, {
          record: ({ name }) => {
            if (name === 'f3') truncateSync(image, 100_000);
            return null;
          },
        });
        await assert.rejects(walk, { code: 'image-not-readable', message: /became shorter/ });
      } finally {
        input.close();
      }
    },
  );

  test('compressed, cut off, empty, no file: left to Node', () => {
    const good = archive(directory('a'), file('a/b', 'x'.repeat(5000)));
    assert.equal(quick(put(good)), 'a\na/b\n');
    const bad = [
      compressed('gzip', good),
      Buffer.concat([good, compressed('zstd', good)]),
      good.subarray(0, 300),
      Buffer.concat([good, Buffer.from('0')]),
      Buffer.concat([padded(good), Buffer.from('\0\x000707')]),
      Buffer.alloc(0),
      Buffer.alloc(512),
      Buffer.from('text'),
    ];
    for (const [index, bytes] of bad.entries()) assert.equal(quick(put(bytes)), null, `${index}`);
    execFileSync('mkfifo', [at('fifo')]);
    for (const path of [at('fifo'), folder, at('nothing'), '/dev/zero', '/proc/self/cmdline'])
      assert.equal(quick(path), null, path);
    symlinkSync('image', at('name'));
    put(good);
    assert.equal(quick(at('name')), 'a\na/b\n');
  });
});

const utf8 = (name: string): Buffer => record({ name: Buffer.from(`${name}\0`) });

describe('a command line', () => {
  test('anything but `image list IMAGE` or `cpio-list IMAGE` goes to Node as it is', () => {
    const image = put(archive(file('a')));
    const others = [
      [],
      ['image'],
      ['image', 'list'],
      ['image', 'list', '-l', image],
      ['image', 'list', image, '-0'],
      ['image', 'list', '--json', image],
      ['--json', 'image', 'list', image],
      ['image', 'list', '-'],
      ['image', 'list', ''],
      ['image', 'list', '--help'],
      ['image', 'parts', image],
      ['list', image],
      [image],
    ];
    for (const args of others) {
      const { status, stdout, stderr } = run(QUICK, ECHO, PROGRAM, ...args);
      assert.equal(stdout, `${[PROGRAM, ...args].join(' ')}\n`);
      assert.deepEqual([status, stderr], [0, '']);
    }
    assert.equal(run(QUICK, ECHO, '/nbic/cpio-list.cjs', image).stdout, 'a\n');
    assert.equal(run(QUICK, ECHO, '/nbic/nd.cjs', image).stdout, `/nbic/nd.cjs ${image}\n`);
  });

  test('how Node ends is how it ends; without one there is a hint', () => {
    assert.equal(run(QUICK, '/bin/sh', '-c', 'exit 7').status, 7);
    const { status, stderr } = run(QUICK, at('no-node'), PROGRAM, 'sessions');
    assert.match(stderr, /^error: cannot start .*no-node: No such file.*\nhint: /);
    assert.equal(status, 78);
  });

  test('by the commands, with no Node that could answer', () => {
    const image = put(archive(directory('d'), file('d/f')));
    mkdirSync(at('bin'));
    writeFileSync(at('bin/node'), '#!/bin/sh\nexit 9\n', { mode: 0o755 });
    const env = { PATH: `${at('bin')}:${process.env['PATH'] ?? ''}` };
    const bin = join(REPOSITORY, 'scripts/bin');
    for (const [name, ...args] of [
      ['trace', 'image', 'list', image],
      ['nfsroot-trace', 'image', 'list', image],
      ['cpio-list', image],
    ] as const) {
      const { status, stdout } = spawnSync(join(bin, name), args, { env, encoding: 'utf8' });
      assert.deepEqual([status, stdout], [0, 'd\nd/f\n'], name);
    }
    assert.equal(spawnSync(join(bin, 'trace'), ['sessions'], { env }).status, 9);
  });
});

describe('an output', () => {
  let image: string;
  let lines: string;
  before(() => {
    const records = Array.from({ length: 9000 }, (_, index) =>
      file(`some/longer/name-${index}`, ''),
    );
    image = put(archive(...records), 'many');
    lines = quick(image) ?? '';
    assert.ok(lines.length > 150_000);
  });
  const shell = (script: string): Answer =>
    run('sh', '-c', script, QUICK, ECHO, PROGRAM, 'image', 'list', image);

  test('whose reader has what it wanted: no failure', () => {
    const { status, stdout, stderr } = shell(
      `{ "$0" "$@"; echo $? >${at('status')}; } | head -n 1; cat ${at('status')}`,
    );
    assert.deepEqual([status, stdout, stderr], [0, 'some/longer/name-0\n0\n', '']);
  });

  test('that takes nothing: Node says why', () => {
    const { status, stderr } = shell('"$0" "$@" >/dev/full');
    assert.notEqual(status, 0);
    assert.match(stderr, /echo: write error/);
  });

  test('that does not wait: all of it, in pieces', () => {
    const script = `import os, subprocess, sys
r, w = os.pipe()
os.set_blocking(w, False)
child = subprocess.Popen(sys.argv[1:], stdout=w)
os.close(w)
while piece := os.read(r, 65536): sys.stdout.buffer.write(piece)
sys.exit(child.wait())`;
    const { status, stdout } = run(
      'python3', '-c', script, QUICK, ECHO, PROGRAM, 'image', 'list', image,
    ); // prettier-ignore
    assert.equal(status, 0);
    assert.equal(stdout, lines);
  });

  test('that may not grow: a failure with a reason, as Node gives one', () => {
    const args = [join(REPOSITORY, 'dist/cli/bin.cjs'), 'image', 'list', image];
    for (const blocks of [0, 64])
      for (const before of [[process.execPath], [QUICK, process.execPath]]) {
        const limited = `ulimit -f ${blocks}; exec "$@" >'${at('limited')}'`;
        const { status, stderr } = run('sh', '-c', limited, 'sh', ...before, ...args);
        assert.match(
          stderr,
          /^error: cannot write to standard output: .*too large.*\nhint: .*\n$/i,
        );
        assert.equal(status, 74);
      }
  });

  test(
    "on a disk that fills up: the same words as Node's",
    { skip: lacks('root', 'mount') },
    () => {
      const script = (command: string): string =>
        `unshare --mount sh -c 'mount -t tmpfs -o size=64k none /mnt; exec "$@" >/mnt/names' - ${command}`;
      const args = `'${PROGRAM}' image list '${image}'`;
      const mine = run('sh', '-c', script(`'${QUICK}' '${ECHO}' ${args}`));
      const node = join(REPOSITORY, 'dist/cli/bin.cjs');
      const his = run('sh', '-c', script(`'${process.execPath}' '${node}' image list '${image}'`));
      assert.match(his.stderr, /^error: cannot write to standard output: no space is left there\n/);
      assert.deepEqual([mine.status, mine.stderr], [his.status, his.stderr]);
    },
  );
});

test('of a real image: what the command says by Node alone', () => {
  const image = put(archive(directory('d'), file('d/f'), link('d/l', 'f')));
  const args = [join(REPOSITORY, 'dist/cli/bin.cjs'), 'image', 'list', image];
  const [mine, his] = [run(QUICK, ECHO, ...args), run(process.execPath, ...args)];
  assert.deepEqual([mine.status, mine.stdout, mine.stderr], [0, 'd\nd/f\nd/l\n', '']);
  assert.deepEqual([his.status, his.stdout, his.stderr], [0, mine.stdout, '']);
});
