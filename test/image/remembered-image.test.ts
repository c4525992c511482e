/**
 * An image that is known to be what would be made, without planning: that it is known while nothing
 * changes, and never once anything does that an export could see.
 */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { operationBit } from '../../src/common/words.ts';
import type { BuildRequest } from '../../src/daemon/build-image.ts';
import { exportSession } from '../../src/daemon/export-session.ts';
import type { ImageReport } from '../../src/daemon/image-report.ts';
import { RememberedImage } from '../../src/daemon/remembered-image.ts';
import type { ImageChoices } from '../../src/image/choices.ts';
import { Store } from '../../src/store/store.ts';
import { lacks } from '../capabilities.ts';
import { recordSessions } from '../support/same-image.ts';
import { type ElfShape, makeElf } from './make-elf.ts';
import { isRoot, put, run, temporaryFolder } from './support.ts';

/** Beyond the clock's tick: files that tests have just made are then at rest. */
const REST_MS = 30;
const READ = operationBit('read');
const XZ = '/usr/bin/xz';
const LOADER = '/lib64/ld-linux-x86-64.so.2';
const AT = 1_800_000_000_000_000;

interface Scene {
  readonly root: string;
  readonly database: string;
  readonly output: string;
  readonly record: string;
  /** What is known of the image, or null. */
  readonly told: (choices?: ImageChoices) => Promise<ImageReport | null>;
  /** Exports if anything changed, and makes sure that the image is what a new one would be. */
  readonly build: (choices?: ImageChoices) => Promise<ImageReport>;
}

function scene(t: TestContext): Scene {
  const folder = temporaryFolder(t);
  const [root, database, output] = ['root', 'trace.db', 'image'].map((name) => join(folder, name));
  assert.ok(root !== undefined && database !== undefined && output !== undefined);
  makeRoot(root);
  recordSessions(database, root);
  // What nobody has used.
  put(join(root, 'srv/unused'), 'unused');
  put(join(root, 'opt/lib/readme'), 'no library');
  put(join(root, 'boot/config-6.1'), 'CONFIG_RD_ZSTD=y\n');
  put(join(root, 'lib/firmware/intel-ucode/06-8c-01'), '\x01\0\0\0 of one processor');
  async function request<T>(
    more: Partial<BuildRequest>,
    use: (one: BuildRequest) => Promise<T>,
  ): Promise<T> {
    const store = Store.open({ path: database ?? '', readOnly: true });
    try {
      const usual = { expression: 'session-1', acceptLoss: false, version: '0', choices: {} };
      return await use({ store, ...usual, output: output ?? '', settledSeconds: 0, ...more });
    } finally {
      store.close();
    }
  }
  return {
    root,
    database,
    output,
    record: join(folder, '.image.nfsroot-trace-asked'),
    async told(choices = {}) {
      await sleep(REST_MS);
      return request({ choices, ifChanged: true }, async (one) => {
        return (await (await RememberedImage.of(one))?.told()) ?? null;
      });
    },
    async build(choices = {}) {
      await sleep(REST_MS);
      const { report } = await request({ choices, ifChanged: true }, exportSession);
      const anew = join(folder, 'anew');
      const told = await request({ choices, output: anew }, exportSession);
      assert.deepEqual({ ...report, unchanged: false }, told.report);
      assert.ok(readFileSync(anew).equals(readFileSync(output)));
      return report;
    },
  };
}

function makeRoot(root: string): void {
  put(join(root, 'init'), '#!/bin/sh\n');
  put(join(root, 'usr/bin/sh'), elf({ interpreter: LOADER, needed: ['libc.so.6'] }));
  put(join(root, 'usr/lib/libc.so.6'), elf({ soname: 'libc.so.6' }));
  put(join(root, LOADER.slice(1)), elf({ soname: 'ld-linux-x86-64.so.2' }));
  for (const path of ['init', 'usr/bin/sh']) chmodSync(join(root, path), 0o755);
  put(join(root, 'etc/ld.so.conf'), '/opt/lib\n');
  put(join(root, 'etc/nsswitch.conf'), 'hosts: files\n');
  put(join(root, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\n');
  put(join(root, 'srv/one.conf'), 'one');
  put(join(root, 'srv/deep/er/two.conf'), 'two');
  for (const [path, target] of [
    ['bin', 'usr/bin'],
    ['lib', 'usr/lib'],
    ['etc/link', '../srv/one.conf'],
  ] as const)
    symlinkSync(target, join(root, path));
}

const elf = (shape: ElfShape): Buffer => Buffer.from(makeElf(shape), 'latin1');

/** Other bytes with the same length and modification time. */
function rewrite(path: string): void {
  const { atime, mtime, size } = lstatSync(path);
  writeFileSync(path, Buffer.alloc(size, String(Math.floor(process.hrtime()[1]))));
  utimesSync(path, atime, mtime);
}

type Random = (below: number) => number;

function generator(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
}

/** All paths below a folder that are of a type; links are never followed. */
function pathsOf(folder: string, type: 'isFile' | 'isDirectory' | 'isSymbolicLink'): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return [
        ...(entry[type]() ? [path] : []),
        ...(entry.isDirectory() ? pathsOf(path, type) : []),
      ];
    })
    .sort();
}

const MUTATIONS: Readonly<Record<string, (root: string, random: Random) => void>> = {
  'a file more': (root, random) =>
    put(join(directory(root, random), `more-${random(5)}.conf`), String(random(99))),
  'a directory more': (root, random) =>
    mkdirSync(join(directory(root, random), `d-${random(9)}`), { recursive: true }),
  'a link more': (root, random) => {
    const [from, to] = [directory(root, random), file(root, random)];
    const path = join(from, `l-${random(1e6)}`);
    symlinkSync(to.slice(root.length), path);
  },
  'a name more': (root, random) =>
    linkSync(file(root, random), join(directory(root, random), `n-${random(1e6)}`)),
  'a file fewer': (root, random) => rmSync(file(root, random)),
  'a link fewer': (root, random) => {
    const links = pathsOf(root, 'isSymbolicLink');
    const link = links[random(links.length)];
    if (link !== undefined) rmSync(link);
  },
  'another name': (root, random) =>
    renameSync(file(root, random), join(directory(root, random), `r-${random(1e6)}`)),
  'two files swapped': (root, random) => {
    const [a, b] = [file(root, random), file(root, random)];
    if (a === b) return;
    renameSync(a, `${a}.swap`);
    renameSync(b, a);
    renameSync(`${a}.swap`, b);
  },
  'a link that leads elsewhere': (root, random) => {
    const links = pathsOf(root, 'isSymbolicLink');
    const link = links[random(links.length)];
    if (link === undefined) return;
    rmSync(link);
    symlinkSync(['usr/bin', 'usr/lib', 'srv', '/etc/passwd'][random(4)] ?? '', link);
  },
  'other content with its old time': (root, random) => rewrite(file(root, random)),
  'more content': (root, random) => appendFileSync(file(root, random), '\n'),
  'no content': (root, random) => truncateSync(file(root, random)),
  'another mode': (root, random) => chmodSync(file(root, random), 0o600 + random(0o177)),
  'another mode of a directory': (root, random) =>
    chmodSync(directory(root, random), 0o700 + random(0o77)),
  'another time': (root, random) => utimesSync(file(root, random), 1, random(1e9)),
  'an attribute': (root, random) =>
    void run('setfattr', ['-n', 'user.some', '-v', String(random(9)), file(root, random)]),
  'a library that is found first': (root, random) =>
    put(join(root, 'opt/lib/libc.so.6'), elf({ soname: 'libc.so.6', needed: [`l${random(9)}`] })),
  'another configuration': (root, random) =>
    put(join(root, 'etc/ld.so.conf'), ['/opt/lib\n', '/srv\n', ''][random(3)] ?? ''),
  ...(isRoot && {
    'another owner': (root: string, random: Random) =>
      void run('chown', ['-h', String(random(9)), file(root, random)]),
  }),
};

function directory(root: string, random: Random): string {
  const all = [root, ...pathsOf(root, 'isDirectory')];
  return all[random(all.length)] ?? root;
}

function file(root: string, random: Random): string {
  const all = pathsOf(root, 'isFile');
  if (all.length === 0) put(join(root, 'last'), 'a file');
  return all[random(all.length)] ?? join(root, 'last');
}

const CHOICES: Readonly<Record<string, ImageChoices>> = {
  plain: { rules: [{ include: true, glob: '/srv/*.conf' }] },
  'with all that can be asked': {
    compress: { method: 'zstd', level: 1 },
    skeleton: true,
    earlyMicrocode: true,
    init: 'exec',
    rules: [
      { include: false, glob: '/srv/deep/**' },
      { include: true, glob: '/srv/**/*.conf' },
    ],
  },
};

describe('an image that was made before', { skip: lacks('mounts') }, () => {
  for (const [what, choices] of Object.entries(CHOICES))
    it(`is known as long as nothing changes: ${what}`, async (t) => {
      const { output, root, told, build } = scene(t);
      const first = await build(choices);
      assert.equal(first.unchanged, false);
      const before = lstatSync(output, { bigint: true });
      const expected = { ...first, unchanged: true };
      for (let time = 0; time < 2; time++) assert.deepEqual(await told(choices), expected);
      // A file that is not in the image was asked only what it is, and with a skeleton.
      if (choices.skeleton !== true) appendFileSync(join(root, 'srv/unused'), 'more');
      assert.deepEqual(await told(choices), expected);
      assert.deepEqual(await build(choices), expected);
      assert.equal(lstatSync(output, { bigint: true }).ctimeNs, before.ctimeNs);
    });

  for (const [what, choices] of Object.entries(CHOICES))
    it(`is what a new one is, whatever changes: ${what}`, async (t) => {
      const { root, told, build } = scene(t);
      const seed = Number(process.env['NFSROOT_TRACE_TEST_SEED'] ?? Date.now() % 1e6);
      t.diagnostic(`NFSROOT_TRACE_TEST_SEED=${seed}`);
      const random = generator(seed);
      const kinds = Object.entries(MUTATIONS);
      await build(choices);
      for (let round = 0; round < 40; round++) {
        const done: string[] = [];
        for (let change = random(3); change > 0; change--) {
          const [name, mutate] = kinds[random(kinds.length)] ?? [];
          mutate?.(root, random);
          if (name !== undefined) done.push(name);
        }
        const known = await told(choices);
        if (done.length === 0) assert.notEqual(known, null, 'nothing changed');
        const report = await build(choices);
        if (known !== null) assert.deepEqual(known, report, done.join(', '));
      }
    });

  const forgotten: Readonly<Record<string, (made: Scene) => void>> = {
    'the session has one file more': ({ database }) => use(database, 2),
    'the image was touched': ({ output }) => chmodSync(output, 0o640),
    'the image is gone': ({ output }) => rmSync(output),
    'the record of the last export is gone': ({ record }) => rmSync(record.replace('-asked', '')),
    'the record is damaged': ({ record }) => {
      const bytes = readFileSync(record);
      bytes.writeUInt8(bytes.readUInt8(bytes.length - 2) ^ 1, bytes.length - 2);
      writeFileSync(record, bytes);
    },
    'others may write to the record': ({ record }) => chmodSync(record, 0o666),
    'a path is missing in the record': ({ record }) =>
      writeFileSync(
        record,
        readFileSync(record, 'latin1').replace('usr/lib/libc.so.6\0', ''),
        'latin1',
      ),
    'a directory that nobody uses has another file': ({ root }) =>
      put(join(root, 'opt/lib/other'), 'other'),
  };
  for (const [what, change] of Object.entries(forgotten))
    it(`is looked at again if ${what}`, async (t) => {
      const made = scene(t);
      await made.build();
      assert.notEqual(await made.told(), null);
      await sleep(REST_MS);
      change(made);
      assert.equal(await made.told(), null);
      await made.build();
      assert.notEqual(await made.told(), null);
    });

  it('is not known by another request', async (t) => {
    const { told, build } = scene(t);
    await build();
    assert.equal(await told({ allRoot: true }), null);
    assert.equal(await told({ init: 'exec' }), null);
    assert.notEqual(await told(), null);
  });

  it('is looked at again by another version of the program that compresses', async (t) => {
    const { output, told, build } = scene(t);
    const choices: ImageChoices = { compress: { method: 'xz', level: 0 } };
    await build(choices);
    assert.notEqual(await told(choices), null);
    const { PATH } = process.env;
    const folder = join(output, '../other');
    put(join(folder, 'xz'), `#!/bin/sh\n[ "$1" = --version ] && echo other || exec '${XZ}' "$@"\n`);
    chmodSync(join(folder, 'xz'), 0o755);
    process.env['PATH'] = `${folder}:${PATH}`;
    try {
      assert.equal(await told(choices), null);
    } finally {
      process.env['PATH'] = PATH;
    }
    assert.notEqual(await told(choices), null);
  });

  it('is looked at again if that program became another while the image was made', async (t) => {
    const { output, told, build } = scene(t);
    const choices: ImageChoices = { compress: { method: 'xz', level: 0 } };
    const folder = join(output, '../other');
    const version = join(folder, 'version');
    put(version, '1');
    put(
      join(folder, 'xz'),
      `#!/bin/sh\nif [ "$1" = --version ]; then cat '${version}'; else echo 2 >'${version}'; exec '${XZ}' "$@"; fi\n`,
    );
    chmodSync(join(folder, 'xz'), 0o755);
    const { PATH } = process.env;
    process.env['PATH'] = `${folder}:${PATH}`;
    try {
      await build(choices);
      assert.equal(await told(choices), null);
      await build(choices);
      assert.notEqual(await told(choices), null);
    } finally {
      process.env['PATH'] = PATH;
    }
  });

  it('is not remembered if there was no xz to look into a kernel module', async (t) => {
    const { root, told, build } = scene(t);
    put(join(root, 'lib/modules/6.1/a.ko.xz'), 'packed');
    const choices: ImageChoices = { rules: [{ include: true, glob: '/lib/modules/**' }] };
    const { PATH } = process.env;
    process.env['PATH'] = '/nonexistent';
    try {
      await build(choices);
      assert.equal(await told(choices), null);
    } finally {
      process.env['PATH'] = PATH;
    }
    await build(choices);
    assert.notEqual(await told(choices), null);
  });

  it('is not remembered while what it is made from may change without showing it', async (t) => {
    const { database, record, output } = scene(t);
    const store = Store.open({ path: database, readOnly: true });
    t.after(() => store.close());
    const usual = { expression: 'session-1', acceptLoss: false, version: '0', choices: {} };
    const request = { store, ...usual, output, ifChanged: true };
    await sleep(REST_MS);
    await exportSession({ ...request, settledSeconds: 3600 });
    assert.equal(existsSync(record), false);
    await sleep(REST_MS);
    await exportSession({ ...request, settledSeconds: 0 });
    assert.equal(existsSync(record), true);
  });
});

describe('what is mounted in a root', { skip: lacks('mounts', 'root', 'mount') }, () => {
  it('is seen when it comes and when it goes', async (t) => {
    const { root, told, build } = scene(t);
    await build();
    assert.notEqual(await told(), null);
    run('mount', ['--bind', join(root, 'usr/bin'), join(root, 'opt/lib')]);
    try {
      assert.equal(await told(), null);
      await build();
      // The times of what is there now are not the root's.
      assert.equal(await told(), null);
    } finally {
      run('umount', [join(root, 'opt/lib')]);
    }
    await build();
    assert.notEqual(await told(), null);
  });
});

/** The session reads one more file, as the recorder writes it. */
function use(database: string, session: number): void {
  const store = Store.open({ path: database });
  try {
    store.ingest({
      atUs: AT,
      accesses: [
        {
          ...{ sessionId: session, fileId: 1, operations: READ, count: 1, bytes: 1, order: 99 },
          ...{ firstUs: AT, lastUs: AT, evidence: 'nfsd' },
        },
      ],
    });
  } finally {
    store.close();
  }
}
