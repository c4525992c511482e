/** Images of several parts: what may stand before and behind, where it comes to lie, what is refused. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { recordsOf } from '../records-of.ts';
import * as craft from '../tools/craft.ts';
import type { ExportOptions } from '../../../src/image/export.ts';
import { exportImage } from '../export-image.ts';
import { OuterParts } from '../../../src/image/parts/outer-parts.ts';
import { PartFile } from '../../../src/image/parts/part-file.ts';
import { makeTree, openTree, planAll, put, run, temporaryFolder } from '../support.ts';

interface Files {
  readonly folder: string;
  /** Makes an archive of kernel/x86 and `name`, with these words of cpio or bsdcpio. */
  readonly archive: (name: string, words?: readonly string[], tool?: string) => string;
  /** A file beside it, made by a program from that one. */
  readonly packed: (from: string, program: string, ...args: string[]) => string;
  readonly file: (name: string, content: Buffer) => string;
}

function files(t: TestContext): Files {
  const folder = temporaryFolder(t);
  const file = (name: string, content: Buffer): string => {
    put(join(folder, name), content);
    return join(folder, name);
  };
  return {
    folder,
    file,
    archive(name, words = ['-H', 'newc'], tool = 'cpio') {
      const cwd = join(folder, 'trees', name);
      put(join(cwd, 'kernel/x86', name), `${name} `.repeat(77));
      const input = `kernel\nkernel/x86\nkernel/x86/${name}\n`;
      return file(`${name}.cpio`, run(tool, ['-o', '--quiet', ...words], { cwd, input }));
    },
    packed(from, program, ...args) {
      const name = `${program}${args.join('')}-${from.split('/').at(-1) ?? ''}`;
      return file(name, run(program, [...args, '-c'], { input: readFileSync(from) }));
    },
  };
}

/** Up to the end of its end record, which is 4 bytes behind the name's last letter. */
const withoutPadding = (bytes: Buffer): Buffer =>
  bytes.subarray(0, bytes.findLastIndex((byte) => byte !== 0) + 5);

const opens = async (path: string, early: boolean): Promise<string | null> => {
  const part = await PartFile.open(path, { early });
  await part.close();
  return part.compression;
};

const refused = (path: string, early: boolean, message: RegExp, code = 'bad-part') =>
  assert.rejects(PartFile.open(path, { early }), (error: Error & { code?: string }) => {
    assert.match(error.message, message);
    return error.code === code;
  });

describe('a part that is given', () => {
  it('is an archive of any tool that makes newc', async (t) => {
    const { archive, file } = files(t);
    const made = [
      archive('gnu'),
      archive('sums', ['-H', 'crc']),
      archive('bsd', ['-H', 'newc'], 'bsdcpio'),
      file('without-padding', withoutPadding(readFileSync(archive('gnu')))),
      file('two', Buffer.concat([readFileSync(archive('a')), readFileSync(archive('b'))])),
    ];
    for (const path of made)
      for (const early of [true, false]) assert.equal(await opens(path, early), null, path);
  });

  it('is compressed only behind, and as the kernel unpacks it', async (t) => {
    const { archive, file, packed } = files(t);
    const plain = archive('plain');
    for (const [path, method] of [
      [packed(plain, 'gzip', '-n'), 'gzip'],
      [packed(plain, 'zstd'), 'zstd'],
      [packed(plain, 'xz', '--check=crc32'), 'xz'],
      [packed(plain, 'xz', '--check=none'), 'xz'],
      [packed(plain, 'lz4', '-l'), 'lz4'],
    ] as const) {
      assert.equal(await opens(path, false), method);
      await refused(path, true, new RegExp(`is compressed by ${method}$`));
    }
    await refused(packed(plain, 'xz'), false, /xz with a check that the kernel does not have/);
    await refused(packed(plain, 'lz4'), false, /lz4, not of its legacy format/);
    await refused(file('bzip2', Buffer.from('BZh91AY&SY')), false, /is compressed by bzip2$/);
  });

  it('is looked at within, whatever it is compressed by', async (t) => {
    const { archive, file, packed } = files(t);
    const odc = archive('odc', ['-H', 'odc']);
    const good = archive('good');
    const cut = file('cut', readFileSync(good).subarray(0, 700));
    for (const [program, ...args] of [
      ['gzip', '-n'],
      ['zstd'],
      ['xz', '--check=crc32'],
      ['lz4', '-l'],
    ] as const) {
      await refused(
        packed(odc, program, ...args),
        false,
        /: at byte 0 of member 0: a record of the old portable format/,
      );
      await refused(
        packed(cut, program, ...args),
        false,
        /: the end of a compressed member in the middle of a record/,
      );
      const whole = readFileSync(packed(good, program, ...args));
      assert.equal(await opens(file('twice', Buffer.concat([whole, whole])), false), program);
      const short = file('short', whole.subarray(0, -5));
      await refused(
        short,
        false,
        /is not a whole newc archive: at byte 0 of member 0: .*(?:cut off|end)/,
      );
      const more = file('more', Buffer.concat([whole, readFileSync(good)]));
      await refused(
        more,
        false,
        /is of another kind from byte \d+ on$|neither a record nor|lz4 is followed by/,
      );
    }
    const gzip = readFileSync(packed(good, 'gzip', '-n'));
    const changed = Buffer.from(gzip);
    changed.writeUInt32LE((gzip.readUInt32LE(gzip.length - 8) + 1) >>> 0, gzip.length - 8);
    await refused(file('sum', changed), false, /\(gzip is damaged: its checksum/);
    // Nothing is left that waits for the rest to be read.
    const other = file('other', Buffer.concat([readFileSync(odc), randomBytes(9 << 20)]));
    for (const program of ['gzip', 'zstd', 'xz', 'lz4'])
      await refused(
        packed(
          other,
          program,
          ...(program === 'lz4' ? ['-l'] : program === 'xz' ? ['-0', '-Cnone'] : []),
        ),
        false,
        /a record of the old portable format/,
      );
    const zstd = readFileSync(packed(good, 'zstd', '--no-check'));
    const skippable = Buffer.from('502a4d1804000000aaaaaaaa', 'hex');
    const inside = file('inside', Buffer.concat([zstd, skippable, zstd]));
    await refused(
      inside,
      false,
      new RegExp(`at byte ${zstd.length} of member 1: .* \\(a skippable frame`),
    );
    // Frames of every form: of one byte over and over, without a size, large, for a stream.
    const large = archive('large');
    appendFileSync(large, Buffer.alloc(9 << 20));
    for (const words of [['-1'], ['-19', '--no-check'], ['--no-content-size']])
      assert.equal(await opens(packed(large, 'zstd', ...words), false), 'zstd');
  });

  it('is not what the kernel would skip, or stop at', async (t) => {
    const { archive, file, folder, packed } = files(t);
    const whole = readFileSync(archive('whole'));
    const records = recordsOf(whole);
    const last = records.at(-1);
    assert.ok(last !== undefined);
    const end = last.dataOffset + last.size + (-last.size & 3);
    for (const early of [true, false]) {
      await refused(archive('odc', ['-H', 'odc']), early, /a record of the old portable format/);
      await refused(archive('bin', ['-H', 'bin']), early, /neither a record nor compressed/);
      for (const length of [50, 114, last.offset + 60, last.dataOffset + 1])
        await refused(
          file('cut', whole.subarray(0, length)),
          early,
          /the end of the image in the middle of a record/,
        );
      await refused(file('cut', whole.subarray(0, end)), early, /: it has no end record$/);
      await refused(file('empty', Buffer.alloc(0)), early, /: it has no record$/);
      await refused(file('zeros', Buffer.alloc(1 << 20)), early, /: it has no record$/);
      await refused(file('text', Buffer.from('hello\n')), early, /neither a record nor compressed/);
      const zstd = readFileSync(packed(archive('whole'), 'zstd'));
      const mixed = file('mixed', Buffer.concat([whole, zstd]));
      await refused(mixed, early, new RegExp(`is of another kind from byte ${whole.length} on$`));
      const odd = Buffer.concat([whole, Buffer.from('\0'), whole]);
      await refused(file('odd', odd), early, /: something that does not begin at a multiple of 4/);
      const skippable = Buffer.concat([Buffer.from('512a4d1804000000aaaaaaaa', 'hex'), zstd]);
      await refused(file('skippable', skippable), early, /a skippable frame: take zstd/);
      const extra = Buffer.from('1f8b080400000000000003020061610300', 'hex');
      await refused(file('extra', extra), false, /gzip with extra header fields/);
      const sums = readFileSync(archive('sums', ['-H', 'crc']));
      sums.write('SUMS', sums.indexOf('sums sums'));
      await refused(file('sums', sums), early, /whose checksum is not its record's/);
      const body = craft.archive(craft.directory('d', { data: 'x' }));
      await refused(file('body', body), early, /drops \(body-of-no-file\)$/);
      await refused(join(folder, 'none'), early, /^cannot read .*ENOENT/, 'part-not-readable');
      await refused(folder, early, /is not a file$/);
      run('mkfifo', ['-m', '600', join(folder, `fifo-${String(early)}`)]);
      await refused(join(folder, `fifo-${String(early)}`), early, /is not a file$/);
    }
  });

  it('has names by which the kernel finds it early', async (t) => {
    const { archive, folder, file } = files(t);
    archive('x');
    const input = './kernel\n./kernel/x86\n./kernel/x86/x\n';
    const words = ['-o', '--quiet', '-H', 'newc'];
    const dotted = file('dotted', run('bsdcpio', words, { cwd: join(folder, 'trees/x'), input }));
    await refused(dotted, true, /has \.\/kernel\/x86, and the kernel looks for/, 'early-names');
    assert.equal(await opens(dotted, false), null);
  });
});

describe('an image of several parts', () => {
  async function scene(t: TestContext, more: Partial<ExportOptions> = {}) {
    const made = files(t);
    const root = join(made.folder, 'root');
    makeTree(root);
    put(join(root, 'usr/lib/firmware/amd-ucode/a.bin'), Buffer.from('DMA\0 microcode'));
    const tree = openTree(t, root);
    const plan = await planAll(root, tree, { earlyMicrocode: false });
    const output = join(made.folder, 'out', 'image');
    mkdirSync(join(made.folder, 'out'));
    const write = async (options: Partial<ExportOptions> = {}) => {
      const result = await exportImage({ tree, plan, output, ...more, ...options });
      const image = readFileSync(output);
      assert.equal(image.length, result.bytes);
      return { image, ...result };
    };
    return { ...made, root, tree, plan, output, write };
  }

  it('has its parts where the kernel looks for them, and zeros between', async (t) => {
    const { archive, file, packed, root, tree, write } = await scene(t, {
      compress: { method: 'gzip', level: 1 },
    });
    const alone = await write();
    assert.deepEqual(alone.parts, [
      { kind: 'image', compression: 'gzip', offset: 0, bytes: alone.bytes },
    ]);
    const given = {
      early: [file('one', withoutPadding(readFileSync(archive('whole')))), archive('two')],
      append: [
        packed(archive('three'), 'xz', '--check=crc32'),
        archive('four'),
        packed(archive('five'), 'zstd'),
        packed(archive('six'), 'lz4', '-l'),
        packed(archive('seven'), 'lz4', '-l'),
      ],
    };
    const outer = await OuterParts.open({ ...given, compression: 'gzip' });
    t.after(() => outer.close());
    const plan = await planAll(root, tree, { earlyMicrocode: true });
    const { image, parts } = await write({ plan, outer });
    assert.deepEqual(
      parts.map(({ kind, compression }) => `${kind} ${String(compression)}`),
      [
        ...['early null', 'early null', 'microcode null', 'image gzip', 'append xz'],
        ...['append null', 'append zstd', 'append lz4', 'append lz4'],
      ],
    );
    const slices = parts.map(({ offset, bytes }) => image.subarray(offset, offset + bytes));
    const names = [...given.early, ...given.append];
    const outside = slices.toSpliced(2, 2);
    names.forEach((name, index) => assert.ok(outside[index]?.equals(readFileSync(name)), name));
    let end = 0;
    for (const [index, { kind, compression, offset, bytes }] of parts.entries()) {
      assert.ok(image.subarray(end, offset).every((byte) => byte === 0));
      if (index < 4) assert.equal(offset % 512, 0);
      else assert.ok(offset - end < 4);
      if (compression === null) assert.equal(offset % 4, 0, kind);
      if (compression === 'lz4') assert.equal(offset, end);
      end = offset + bytes;
    }
    assert.equal(end, image.length);
    // Whoever has the stream alone gets the same around it.
    const core = await write({ plan });
    const around: Buffer[] = [];
    async function* stream() {
      for (let at = 0; at < core.image.length; at += 999)
        yield await Promise.resolve(core.image.subarray(at, at + 999));
    }
    for await (const piece of outer.around(stream())) around.push(piece);
    assert.ok(Buffer.concat(around).equals(image));
    assert.deepEqual(outer.layOut(core.parts, core.bytes), { parts, bytes: image.length });
  });

  it('without compression is still one archive to every tool that goes past the first end', async (t) => {
    const { archive, write } = await scene(t);
    const outer = await OuterParts.open({
      early: [archive('one')],
      append: [archive('two')],
      compression: undefined,
    });
    t.after(() => outer.close());
    const plain = await write();
    const { image } = await write({ outer });
    const names = recordsOf(image).map(({ name }) => name);
    const inner = recordsOf(plain.image).map(({ name }) => name);
    const outside = (name: string) => ['kernel', 'kernel/x86', `kernel/x86/${name}`];
    assert.deepEqual(names, [...outside('one'), ...inner, ...outside('two')]);
  });

  it('is not made in an order that the kernel does not unpack', async (t) => {
    const { archive, packed } = files(t);
    const plain = archive('plain');
    const zstd = packed(plain, 'zstd');
    const lz4 = packed(plain, 'lz4', '-l');
    const open = async (compression: 'zstd' | 'lz4' | undefined, ...append: string[]) => {
      await (await OuterParts.open({ early: [plain], append, compression })).close();
    };
    await open('lz4', lz4, lz4);
    await open(undefined, zstd, plain, lz4);
    for (const [compression, append] of [
      ['lz4', [plain]],
      ['lz4', [zstd]],
      ['lz4', [lz4, zstd]],
      ['zstd', [lz4, plain]],
      [undefined, [lz4, zstd]],
    ] as const)
      await assert.rejects(open(compression, ...append), { code: 'lz4-not-last' });
  });

  it('is not made of a file that changes, nor around what is no archive', async (t) => {
    const { archive, folder, output, root, tree, write } = await scene(t);
    const path = archive('one');
    writeFileSync(output, 'old');
    const outer = await OuterParts.open({ early: [], append: [path], compression: undefined });
    t.after(() => outer.close());
    await assert.rejects(write({ outer, format: 'list' }), { code: 'parts-of-no-archive' });
    const plan = await planAll(root, tree, { earlyMicrocode: true });
    await assert.rejects(write({ plan, format: 'manifest' }), { code: 'parts-of-no-archive' });
    appendFileSync(path, 'more');
    await assert.rejects(write({ outer }), { code: 'part-changed' });
    assert.equal(readFileSync(output, 'latin1'), 'old');
    assert.deepEqual(readdirSync(join(folder, 'out')), ['image']);
  });
});
