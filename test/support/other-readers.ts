/**
 * What GNU cpio, bsdcpio and busybox make of an image, beside what our own reader says of it: the
 * list of names, and everything of what they extract. Owns how each is called and where each is known
 * to differ. They read one archive, so that an image's parts are unpacked by the usual programs and
 * given to them one by one.
 */
import assert from 'node:assert/strict';
import { spawnSync, type SpawnSyncOptionsWithBufferEncoding } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { paddingOf, TRAILER, TRAILER_FILE, trailer } from '../../src/image/cpio.ts';
import type { Compression } from '../../src/image/tools/compression.ts';
import { Input } from '../../src/image/tools/input.ts';
import { partsOf } from '../../src/image/tools/parts-of.ts';
import { RecordReader } from '../../src/image/tools/record-reader.ts';
import {
  BLOCK,
  CHARACTER,
  DIRECTORY,
  FILE,
  FORMAT,
  type ImageRecord,
  LINK,
} from '../../src/image/tools/record.ts';
import { verifyImage } from '../../src/image/tools/verify-image.ts';
import { lackOf } from '../capabilities.ts';
import { allPaths, sha256 } from '../image/support.ts';

interface Extracted {
  readonly path: string;
  readonly mode: number;
  /** Of how many archives the image consists. */
  readonly archives: number;
}

interface Reader {
  readonly program: 'cpio' | 'bsdcpio' | 'busybox';
  readonly args: readonly string[];
  /** What it does not bring back when it extracts; all else is as the archive has it. */
  readonly leaves: (of: Extracted) => readonly (keyof Seen)[];
  /** Default: every record. */
  readonly lists?: (record: ImageRecord) => boolean;
}

const isOf =
  (...types: readonly number[]) =>
  (mode: number): boolean =>
    types.includes(mode & FORMAT);
const isDirectory = isOf(DIRECTORY);
const isLink = isOf(LINK);
const isDevice = isOf(CHARACTER, BLOCK);

const READERS: readonly Reader[] = [
  {
    program: 'cpio',
    args: ['-i', '--quiet', '--no-absolute-filenames'],
    // The record of the root itself is passed over.
    leaves: ({ path, mode }) =>
      path === '.'
        ? ['mode', 'uid', 'gid', 'mtime']
        : isLink(mode) || isDirectory(mode)
          ? ['mtime']
          : [],
  },
  {
    program: 'bsdcpio',
    args: ['-i', '--quiet'],
    // A directory's time is that of the archive before only until the next puts something into it.
    leaves: ({ path, mode, archives }) =>
      path === '.' || (archives > 1 && isDirectory(mode)) ? ['mtime'] : [],
  },
  {
    program: 'busybox',
    args: ['cpio', '-i'],
    leaves: ({ mode }) =>
      isLink(mode) ? ['uid', 'gid', 'mtime'] : isDirectory(mode) ? ['mtime'] : [],
    // Further names of a file, which have no data, are put off to the end, and then made only.
    lists: ({ mode, nlink, size }) => (mode & FORMAT) !== FILE || nlink < 2 || size > 0,
  },
];
const LIST = ['-t'];
/** Directories as needed, times, over what is there. */
const EXTRACT = ['-d', '-m', '-u'];

const UNPACK: Readonly<Partial<Record<Compression, readonly [string, ...string[]]>>> = {
  gzip: ['gzip', '-d', '-c'],
  zstd: ['zstd', '-d', '-c', '-q'],
  xz: ['xz', '-d', '-c'],
  lz4: ['lz4', '-d', '-c', '-q'],
  bzip2: ['bzip2', '-d', '-c'],
  lzma: ['xz', '-d', '-c', '--format=lzma'],
};

/** Everything of an object but its name. */
interface Seen {
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** Of a device. */
  readonly device: string;
  /** Of its names the first, in bytewise order. */
  readonly first: string;
  readonly mtime: number;
  readonly size: number;
  /** A hash of a file's, a link's target. */
  readonly content: string | null;
}

export type Tree = ReadonlyMap<string, Seen>;

/** Hashes of images that were looked at. */
const done = new Set<string>();
/** What all of them made of archives, by a hash of these: they need no second look in another dress. */
const known = new Map<string, Tree>();

/**
 * Fails unless every reader that this machine has sees in the image what ours does. As root, since
 * owners and devices are compared.
 */
export async function assertReadAlike(image: string): Promise<void> {
  if (lackOf('root') !== null) return;
  const bytes = readFileSync(image);
  const own = sha256(bytes);
  if (done.has(own)) return;
  const archives = await archivesOf(image, bytes);
  const tree = await ours(image);
  const hash = createHash('sha256');
  for (const archive of archives) hash.update(archive.bytes);
  const digest = hash.digest('hex');
  const before = known.get(digest);
  if (before === undefined) {
    for (const reader of READERS)
      if (lackOf(reader.program) === null) check(reader, archives, tree);
    known.set(digest, tree);
  } else assert.deepEqual(tree, before, image);
  done.add(own);
}

function check(reader: Reader, archives: readonly Archive[], expected: Tree): void {
  const folder = mkdtempSync(join(roomFor(archives), 'nfsroot-trace-read-'));
  try {
    const [input, tree] = [join(folder, 'input'), join(folder, 'tree')];
    mkdirSync(tree);
    const listed = archives.map(({ bytes }) => {
      writeFileSync(input, bytes);
      read(reader, EXTRACT, input, tree);
      return read(reader, LIST, input, folder);
    });
    const records = archives.flatMap((archive) => archive.records);
    const names = records
      .filter(reader.lists ?? (() => true))
      .map(({ name }) => `${name === TRAILER ? TRAILER_FILE : name}\n`);
    assert.equal(Buffer.concat(listed).toString('latin1'), names.join(''), reader.program);
    assert.deepEqual(
      differences(treeOf(tree), expected, reader, archives.length),
      [],
      reader.program,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** In memory, where that is: on a disk it takes five times as long. */
function roomFor(archives: readonly Archive[]): string {
  const needed = archives.reduce((sum, { bytes }) => sum + bytes.length, 0);
  try {
    const { bavail, bsize } = statfsSync('/dev/shm');
    return bavail * bsize > 4 * needed ? '/dev/shm' : tmpdir();
  } catch {
    return tmpdir();
  }
}

/** A line for each field that is not the same. */
function differences(found: Tree, expected: Tree, { leaves }: Reader, archives: number): string[] {
  return [...new Set([...found.keys(), ...expected.keys()])].flatMap((path) => {
    const [is, should] = [found.get(path), expected.get(path)];
    // Without a record for it the folder is whatever it was.
    if (path === '.' && should === undefined) return [];
    if (is === undefined || should === undefined)
      return [`${path} is ${is === undefined ? 'missing' : 'too much'}`];
    const left = leaves({ path, mode: parseInt(should.mode, 8), archives });
    return (Object.keys(should) as (keyof Seen)[])
      .filter((field) => is[field] !== should[field] && !left.includes(field))
      .map((field) => `${path}: ${field} is ${String(is[field])}, not ${String(should[field])}`);
  });
}

function read({ program, args }: Reader, more: readonly string[], input: string, cwd: string) {
  const fd = openSync(input, 'r');
  try {
    return run([program, ...args, ...more], { cwd, stdio: [fd, 'pipe', 'pipe'] });
  } finally {
    closeSync(fd);
  }
}

function run(
  [program, ...args]: readonly [string, ...string[]],
  options: SpawnSyncOptionsWithBufferEncoding,
): Buffer {
  const env = { PATH: process.env['PATH'], LC_ALL: 'C' };
  const { status, stdout, stderr } = spawnSync(program, args, {
    ...{ cwd: '/', env, maxBuffer: 1 << 30 },
    ...options,
  });
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${stderr.toString()}`);
  return stdout;
}

interface Archive {
  readonly bytes: Buffer;
  readonly records: readonly ImageRecord[];
}

/** Of all parts. */
async function archivesOf(image: string, bytes: Buffer): Promise<Archive[]> {
  const input = Input.open(image);
  const { parts } = await partsOf(input).finally(() => input.close());
  return parts.flatMap((part) => {
    const packed = bytes.subarray(part.offset, part.offset + part.bytes);
    if (part.compression === null) return split(packed);
    const unpack = UNPACK[part.compression];
    assert.ok(unpack !== undefined, part.compression);
    return split(run(unpack, { input: packed }));
  });
}

/** Where an archive ends in bytes that hold several. */
function split(bytes: Buffer): Archive[] {
  const archives: Archive[] = [];
  let records: ImageRecord[] = [];
  const close = (end: number) => {
    // Without the zeros before it.
    archives.push({ bytes: bytes.subarray(records[0]?.offset, end), records });
    records = [];
  };
  const reader = new RecordReader({
    record(one) {
      records.push(one);
      return null;
    },
    trailer: ({ end }) => close(end),
  });
  reader.member(0);
  for (let rest = bytes; rest.length > 0 && reader.stop === null;) {
    reader.start();
    rest = rest.subarray(reader.push(rest));
  }
  if (records.length > 0) {
    // The others demand an end record, the kernel does not.
    const rest = bytes.subarray(records[0]?.offset);
    const whole = Buffer.concat([rest, Buffer.alloc(paddingOf(rest.length))]);
    archives.push({ bytes: Buffer.concat([whole, trailer(whole.length)]), records });
  }
  return archives;
}

async function ours(image: string): Promise<Tree> {
  const input = Input.open(image);
  const { tree, stop, counts } = await verifyImage(input).finally(() => input.close());
  assert.deepEqual([stop, counts.dropped], [null, 0], `the kernel does not take all of ${image}`);
  const entries = [...tree.entries()].filter(([, { builtIn }]) => !builtIn);
  const first = new Map<unknown, string>();
  for (const [path, node] of entries) if (!first.has(node)) first.set(node, path);
  return new Map(
    entries.map(([path, node]) => [
      path === '' ? '.' : path,
      {
        mode: (node.type | node.mode).toString(8),
        uid: node.uid,
        gid: node.gid,
        device: isDevice(node.type) ? `${node.rdevMajor}, ${node.rdevMinor}` : '',
        first: first.get(node) || '.',
        mtime: node.mtime,
        size: node.size,
        content: node.target ?? node.content?.sha256 ?? null,
      },
    ]),
  );
}

/** Everything in a folder, itself as `.`; paths are byte strings. */
export function treeOf(folder: string): Tree {
  const first = new Map<bigint, string>();
  const paths = [Buffer.from('.'), ...allPaths(folder)].sort((a, b) => a.compare(b));
  return new Map(
    paths.map((path) => {
      const full = Buffer.concat([Buffer.from(`${folder}/`), path]);
      const stat = lstatSync(full, { bigint: true });
      const mode = Number(stat.mode);
      const name = path.toString('latin1');
      if (!first.has(stat.ino)) first.set(stat.ino, name);
      return [
        name,
        {
          mode: mode.toString(8),
          uid: Number(stat.uid),
          gid: Number(stat.gid),
          device: isDevice(mode) ? deviceOf(stat.rdev) : '',
          first: first.get(stat.ino) ?? '',
          mtime: Number(stat.mtimeNs / 1_000_000_000n),
          size: isDirectory(mode) ? 0 : Number(stat.size),
          content: stat.isFile()
            ? sha256(readFileSync(full))
            : stat.isSymbolicLink()
              ? readlinkSync(full, 'latin1')
              : null,
        },
      ];
    }),
  );
}

/** As glibc's major() and minor(). */
function deviceOf(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn);
  return `${major}, ${minor}`;
}
