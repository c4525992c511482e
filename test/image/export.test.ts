/** Writing images: whole or not at all, and what each failure says. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { TraceError } from '../../src/common/errors.ts';
import type { NativeTree } from '../../src/fanotify-ts/tree.ts';
import { recordsOf } from './records-of.ts';
import { exportImage } from './export-image.ts';
import type { ImagePlan } from '../../src/image/plan.ts';
import { openTree, planAll, put, run, temporaryFolder } from './support.ts';
import { lacks } from '../capabilities.ts';

interface Scene {
  readonly folder: string;
  readonly root: string;
  readonly tree: NativeTree;
  readonly plan: ImagePlan;
  readonly output: string;
}

async function scene(
  t: TestContext,
  files: Readonly<Record<string, string | Buffer>>,
): Promise<Scene> {
  const folder = temporaryFolder(t);
  const root = join(folder, 'root');
  for (const [path, content] of Object.entries(files)) put(join(root, path), content);
  mkdirSync(join(folder, 'out'));
  const tree = openTree(t, root);
  return {
    folder,
    root,
    tree,
    plan: await planAll(root, tree),
    output: join(folder, 'out/i.cpio'),
  };
}

const fails =
  (code: string, exit: string, message = /./) =>
  (error: unknown) => {
    assert.ok(error instanceof TraceError, String(error));
    assert.deepEqual([error.code, error.exit], [code, exit], error.message);
    assert.notEqual(error.hint, undefined, error.message);
    assert.match(error.message, message);
    return true;
  };

const contents = (image: Buffer): Record<string, string> =>
  Object.fromEntries(
    recordsOf(image).map(({ name, dataOffset, size }) => [
      name,
      image.toString('latin1', dataOffset, dataOffset + size),
    ]),
  );

describe('an image file', () => {
  it('is new: for its owner only; replaced: as the old one; by a link: where it leads', async (t) => {
    const { folder, plan, tree, output } = await scene(t, { a: 'x' });
    assert.deepEqual(await exportImage({ plan, tree, output }), {
      bytes: 512,
      parts: [{ kind: 'image', compression: null, offset: 0, bytes: 512 }],
    });
    assert.equal(statSync(output).mode & 0o777, 0o600);
    chmodSync(output, 0o644);
    symlinkSync('out/i.cpio', join(folder, 'link'));
    writeFileSync(output, 'old');
    await exportImage({ plan, tree, output: join(folder, 'link') });
    assert.equal(statSync(output).mode & 0o777, 0o644);
    assert.deepEqual(contents(readFileSync(output)), { '.': '', a: 'x' });
    assert.deepEqual(readdirSync(join(folder, 'out')), ['i.cpio']);
  });

  it('has progress to tell', async (t) => {
    const { plan, tree, output } = await scene(t, { a: Buffer.alloc(1 << 20) });
    const told: number[][] = [];
    await exportImage({ plan, tree, output, onProgress: (...now) => told.push(now) });
    for (const [bytes, total] of told) assert.ok((bytes ?? 0) <= (total ?? 0));
  });

  it('of 20,000 files is whole', async (t) => {
    const files: Record<string, string> = {};
    for (let i = 0; i < 20_000; i++) files[`d${i % 100}/f${i}`] = `content ${i} `.repeat(i % 40);
    const { plan, tree, output } = await scene(t, files);
    await exportImage({ plan, tree, output });
    const found = contents(readFileSync(output));
    assert.equal(Object.keys(found).length, 20_000 + 100 + 1);
    for (const [path, content] of Object.entries(files)) assert.equal(found[path], content, path);
  });

  it('goes round the edges of the writer’s buffer', async (t) => {
    const files: Record<string, Buffer> = {};
    for (const size of [0, 1, 262_143, 262_144, 262_145, 261_900, 524_288, 1_000_003])
      files[`f${size}`] = Buffer.alloc(size, String(size));
    const { plan, tree, output } = await scene(t, files);
    await exportImage({ plan, tree, output });
    const found = contents(readFileSync(output));
    for (const [path, content] of Object.entries(files))
      assert.ok(Buffer.from(found[path] ?? 'none', 'latin1').equals(content), path);
  });
});

describe('an image that cannot be made', () => {
  const OLD = 'the old image';

  async function keepsOld(made: Scene, expected: (error: unknown) => boolean): Promise<void> {
    writeFileSync(made.output, OLD);
    await assert.rejects(exportImage(made), expected);
    assert.equal(readFileSync(made.output, 'latin1'), OLD);
    assert.deepEqual(readdirSync(join(made.folder, 'out')), ['i.cpio']);
  }

  for (const [what, message, change] of [
    ['grew', /^a changed its size while/, (path: string) => appendFileSync(path, 'more')],
    ['shrank', /^a changed its size while/, (path: string) => truncateSync(path, 1)],
    [
      'was rewritten at the same size',
      /^a was written to while/,
      (path: string) => {
        writeFileSync(path, 'CONTENT');
        utimesSync(path, 1, 1);
      },
    ],
    ['changed its mode', /^a changed its metadata while/, (path: string) => chmodSync(path, 0o600)],
    ['vanished', /^a is no longer there while/, (path: string) => rmSync(path)],
    [
      'was replaced',
      /^a was replaced while/,
      (path: string) => {
        writeFileSync(`${path}2`, 'content');
        renameSync(`${path}2`, path);
      },
    ],
    [
      'became a fifo',
      /^a is no longer a regular file while/,
      (path: string) => {
        rmSync(path);
        run('mkfifo', [path]);
      },
    ],
    [
      'became a link',
      /^a is no longer a regular file while/,
      (path: string) => {
        rmSync(path);
        symlinkSync('/etc/passwd', path);
      },
    ],
  ] as const)
    it(`because a file ${what} after the plan`, async (t) => {
      const made = await scene(t, { a: 'content', b: 'b' });
      await sleep(10);
      change(join(made.root, 'a'));
      await keepsOld(made, fails('drift', 'failed', message));
    });

  it('because a directory became a link out of the root', async (t) => {
    const made = await scene(t, { 'etc/secret': 'inside', b: 'b' });
    put(join(made.folder, 'outside/secret'), 'outsid');
    renameSync(join(made.root, 'etc'), join(made.root, 'was'));
    symlinkSync(join(made.folder, 'outside'), join(made.root, 'etc'));
    await keepsOld(made, fails('drift', 'failed', /^etc\/secret is no longer there/));
  });

  it('because a file is 4 GiB', async (t) => {
    const made = await scene(t, { a: 'x' });
    truncateSync(join(made.root, 'a'), 2 ** 32);
    const plan = await planAll(made.root, made.tree);
    await keepsOld(
      { ...made, plan },
      fails('does-not-fit', 'data', /^size 4294967296 of a does not/),
    );
  });

  it('because the disk is full', { skip: lacks('root', 'mount') }, async (t) => {
    const made = await scene(t, { a: Buffer.alloc(1 << 20, 'x') });
    const small = join(made.folder, 'out');
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', small]);
    assert.equal(mounted.status, 0, mounted.stderr.toString());
    try {
      await keepsOld(made, fails('output-full', 'io'));
    } finally {
      run('umount', [small]);
    }
  });

  it('because the output is a folder, is in none, or may not be written', async (t) => {
    const { folder, plan, tree } = await scene(t, { a: 'x' });
    const refused = (output: string, message: RegExp) =>
      assert.rejects(
        exportImage({ plan, tree, output }),
        fails('output-not-writable', 'cannotCreate', message),
      );
    await refused(join(folder, 'out'), /it is a directory/);
    await refused(join(folder, 'no/such/i.cpio'), /its folder does not exist/);
    symlinkSync('no/such', join(folder, 'dangling'));
    await refused(join(folder, 'dangling'), /a link that leads nowhere/);
    await refused('/proc/version', /./);
    await refused('/proc/new.cpio', /./);
  });

  it('because somebody stopped it', async (t) => {
    const made = await scene(t, { a: 'x' });
    const stopped = new AbortController();
    stopped.abort(new Error('stopped'));
    await assert.rejects(exportImage({ ...made, signal: stopped.signal }), /stopped/);
    assert.ok(!existsSync(made.output));
  });
});

describe('a streamed image', () => {
  it('goes to a pipe behind /dev/stdout, and leaves that name alone', async (t) => {
    const { folder, root, plan } = await scene(t, { a: 'x' });
    const before = readlinkSync('/dev/stdout');
    const script = `
      const { planAll } = await import(${JSON.stringify(join(import.meta.dirname, 'support.ts'))});
      const { exportImage } = await import(${JSON.stringify(join(import.meta.dirname, '../../src/image/export.ts'))});
      const { NativeTree } = await import(${JSON.stringify(join(import.meta.dirname, '../../src/fanotify-ts/tree.ts'))});
      const tree = NativeTree.open(${JSON.stringify(root)});
      const plan = await planAll(${JSON.stringify(root)}, tree);
      await exportImage({ plan, tree, output: '/dev/stdout' });`;
    const out = run('sh', [
      '-c',
      '"$0" --input-type=module -e "$1" | cat',
      process.execPath,
      script,
    ]);
    assert.equal(out.length, plan.bytes);
    assert.equal(readlinkSync('/dev/stdout'), before);
    assert.ok(!existsSync(join(folder, 'out/i.cpio')));
  });

  it('says when a device has no room', async (t) => {
    const { plan, tree } = await scene(t, { a: 'x' });
    await assert.rejects(
      exportImage({ plan, tree, output: '/dev/full' }),
      fails('output-full', 'io'),
    );
    assert.ok(statSync('/dev/full').isCharacterDevice());
  });

  it('goes to a descriptor', async (t) => {
    const { folder, plan, tree } = await scene(t, { a: 'x' });
    const fd = openSync(join(folder, 'stream'), 'w');
    await exportImage({ plan, tree, output: fd });
    closeSync(fd);
    assert.deepEqual(contents(readFileSync(join(folder, 'stream'))), { '.': '', a: 'x' });
  });

  it('goes through a pipe to a slow reader', async (t) => {
    const { folder, plan, tree } = await scene(t, { a: Buffer.alloc(3_000_000, 'abc'), b: 'b' });
    const pipe = join(folder, 'pipe');
    run('mkfifo', [pipe]);
    const reader = spawn('sh', ['-c', `(sleep 0.3; cat) < "${pipe}" > "${folder}/copy"`]);
    const ended = new Promise((resolve) => reader.once('exit', resolve));
    await exportImage({ plan, tree, output: pipe });
    await ended;
    assert.equal(statSync(join(folder, 'copy')).size, plan.bytes);
  });

  for (const [what, expected, act] of [
    [
      'its reader goes away',
      fails('output-closed', 'io'),
      ({ reader }: { reader: number }) => closeSync(reader),
    ],
    [
      'it is stopped while the reader stands still',
      (error: unknown) => String(error) === 'Error: enough',
      ({ stop }: { stop: AbortController }) => stop.abort(new Error('enough')),
    ],
    [
      'a file changes under its hands',
      fails('drift', 'failed', /^a changed its size/),
      ({ reader, root }: { reader: number; root: string }) => {
        appendFileSync(join(root, 'a'), 'x');
        // All but the last buffer, which the error keeps back.
        drain(reader, 7_800_000);
      },
    ],
  ] as const)
    it(`ends in an error when ${what}`, async (t) => {
      const { folder, root, plan, tree } = await scene(t, { a: Buffer.alloc(8_000_000, 'abc') });
      const pipe = join(folder, 'pipe');
      run('mkfifo', [pipe]);
      const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
      const stop = new AbortController();
      const done = assert.rejects(
        exportImage({ plan, tree, output: pipe, signal: stop.signal }),
        expected,
      );
      await sleep(100);
      act({ reader, root, stop });
      await done;
    });
});

/** Reads a pipe empty until so many bytes came, without an end. */
function drain(fd: number, bytes: number): void {
  const buffer = Buffer.alloc(1 << 16);
  for (let got = 0; got < bytes;)
    try {
      got += readSync(fd, buffer);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
}
