/**
 * Images that show one rule of the kernel's unpacker each, and what `trace image verify` must say of
 * them. The lab boots every one. Owns the images; each is put behind another archive, which ends at a
 * multiple of 512, and may leave all it likes out but `/init` and `/bin` of that.
 */
import { compressed } from './compressed.ts';
import { archive, CHARACTER, directory, file, link, padded, record, trailer } from './craft.ts';

export interface CraftedImage {
  readonly what: string;
  readonly bytes: Buffer;
  /** Codes of what is dropped or changed, in order. */
  readonly found?: readonly string[];
  readonly stop?: string;
  /** The first release with this rule, for the lab. */
  readonly since?: string;
}

const x = directory('x');
const good = archive(x, file('x/good'));
const after = archive(file('after'));
const sum = (text: string): number => Buffer.from(text).reduce((all, byte) => all + byte, 0);
const two = { ino: 77, nlink: 2 };
const odd = compressed('gzip', good);

export const CRAFTED: readonly CraftedImage[] = [
  { what: 'an ordinary archive', bytes: archive(x, file('x/a'), link('x/b', 'a')) },
  { what: 'a directory missing', bytes: archive(file('y/a'), after), found: ['no-parent'] },
  {
    what: 'a directory that comes later',
    bytes: archive(file('x/a'), x, file('x/b')),
    found: ['no-parent'],
  },
  {
    what: 'a file for a directory',
    bytes: archive(file('f'), file('f/a'), link('f/b', 'a'), directory('f/c'), file('g')),
    found: ['parent-is-no-directory', 'parent-is-no-directory', 'parent-is-no-directory'],
  },
  {
    what: 'through links, absolute and relative, and ..',
    bytes: archive(
      x,
      directory('x/y'),
      link('l', 'x/y'),
      link('m', '/x'),
      file('l/a'),
      file('m/b'),
      file('l/../c'),
      file('/../../d'),
      file('./e'),
    ),
  },
  {
    what: 'a file that has the name of the end, and a hard link past it',
    bytes: archive(
      record({ name: 'a', ...two }),
      file('./TRAILER!!!'),
      record({ name: 'z', ...two, data: 'data' }),
    ),
  },
  {
    what: 'links in a loop',
    bytes: archive(link('a', 'b'), link('b', 'a'), file('a/x'), file('c')),
    found: ['links-loop'],
  },
  {
    what: 'a directory over a link',
    bytes: archive(
      directory('usr'),
      directory('usr/lib'),
      link('lib', 'usr/lib'),
      file('lib/a'),
      directory('lib'),
      file('lib/b'),
    ),
    found: ['other-type-replaced'],
  },
  {
    what: 'a link over a directory that is not empty',
    bytes: archive(x, file('x/a'), link('x', 'y', { uid: 5, gid: 6 }), file('x/b')),
    found: ['in-the-way'],
  },
  {
    what: 'a link over an empty directory',
    bytes: archive(x, link('x', 'y')),
    found: ['other-type-replaced'],
  },
  {
    what: 'a file over a directory',
    bytes: archive(x, file('x/a'), file('x'), directory('y'), file('y')),
    found: ['in-the-way', 'other-type-replaced'],
  },
  {
    what: 'a device over a directory',
    bytes: archive(x, file('x/a'), record({ name: 'x', mode: CHARACTER, rdev: [1, 3], uid: 9 })),
    found: ['in-the-way'],
  },
  {
    what: 'a device over a device',
    bytes: archive(
      record({ name: 'n', mode: CHARACTER, rdev: [1, 3] }),
      record({ name: 'n', mode: 0o020666, rdev: [5, 0] }),
    ),
    found: ['device-kept'],
  },
  {
    what: 'a file over a link, a fifo over a file',
    bytes: archive(
      file('t'),
      link('l', 't'),
      file('l', 'new'),
      record({ name: 't', mode: 0o010600 }),
    ),
    found: ['other-type-replaced', 'other-type-replaced'],
  },
  {
    what: 'a file twice, a directory twice',
    bytes: archive(
      x,
      file('x/a', 'a long one', { mode: 0o100755 }),
      directory('x', { mode: 0o040700, uid: 3 }),
      file('x/a', 'short', { gid: 8 }),
    ),
  },
  {
    what: 'hard links, data on the last name',
    bytes: archive(
      record({ name: 'a', ...two }),
      record({ name: 'b', ...two, data: 'data', mode: 0o100600 }),
    ),
  },
  {
    what: 'hard links, data on the first name',
    bytes: archive(record({ name: 'a', ...two, data: 'data' }), record({ name: 'b', ...two })),
  },
  {
    what: 'one inode number, but one link each',
    bytes: archive(file('a', '1', { ino: 5 }), file('b', '2', { ino: 5 })),
  },
  {
    what: 'one name of two written over',
    bytes: Buffer.concat([
      archive(record({ name: 'a', ...two, data: 'data' }), record({ name: 'b', ...two })),
      archive(file('b', 'new')),
    ]),
    found: ['all-names-overwritten'],
  },
  {
    what: 'one name twice in a group of hard links',
    bytes: archive(record({ name: 'a', ...two, data: 'data' }), record({ name: 'a', ...two })),
    found: ['first-name-is-gone'],
  },
  {
    what: 'groups of hard links that go on without an end record, and end with one',
    bytes: padded(
      Buffer.concat([
        record({ name: 'a', ...two, data: '1' }),
        archive(record({ name: 'b', ...two })),
        archive(record({ name: 'c', ...two, data: '3' })),
      ]),
    ),
  },
  {
    what: 'a directory, a device and a fifo with data',
    bytes: archive(
      directory('d', { data: 'x' }),
      record({ name: 'n', mode: CHARACTER, data: 'xy' }),
      record({ name: 'p', mode: 0o010600, data: 'xyz' }),
      file('ok'),
    ),
    found: ['body-of-no-file', 'body-of-no-file', 'body-of-no-file'],
  },
  {
    what: 'names of no byte, and of too many',
    bytes: archive(
      record({ name: Buffer.alloc(0) }),
      record({ name: Buffer.alloc(4097, 'n') }),
      file('ok'),
    ),
    found: ['no-name', 'name-too-long'],
  },
  {
    what: 'a part of a name of 255 bytes, and of 256',
    bytes: archive(file('n'.repeat(255)), file('n'.repeat(256)), file('ok')),
    found: ['name-part-too-long'],
  },
  {
    what: 'targets of 4095 bytes, 4096, and more',
    bytes: archive(
      link('a', 't'.repeat(4095)),
      link('b', 't'.repeat(4096)),
      link('c', 't'.repeat(4097)),
      file('ok'),
    ),
    found: ['link-too-long', 'link-too-long'],
  },
  {
    what: 'no type, over a file',
    bytes: archive(file('a'), record({ name: 'a', mode: 0o644 }), file('ok')),
    found: ['other-type-replaced', 'unknown-type'],
  },
  {
    what: 'names that end with a slash',
    bytes: archive(directory('d/'), file('f/'), link('l/', 'd'), file('ok')),
    found: ['no-file-name', 'no-parent'],
  },
  {
    what: 'the empty name, . and the root',
    bytes: archive(file('', 'x'), directory('.', { mode: 0o040700 }), file('.'), file('ok')),
    found: ['no-parent', 'in-the-way'],
  },
  {
    what: 'several NULs behind a name, and an odd name',
    bytes: archive(
      record({ name: Buffer.from('a\0\0\0\0\0\0'), data: 'x' }),
      file('\xff\n\x01'),
      file('ok'),
    ),
  },
  {
    what: 'set-id bits, the sticky bit, large owners, one that is nobody',
    bytes: archive(
      file('su', 'x', { mode: 0o106755, uid: 70_000, gid: 80_000 }),
      directory('t', { mode: 0o041777 }),
      file('n', 'x', { uid: 0xffffffff, gid: 7 }),
    ),
  },
  {
    what: 'a checksum that is right',
    bytes: archive(
      record({ name: 'a', magic: '070702', data: 'abc', checksum: sum('abc') }),
      file('ok'),
    ),
  },
  {
    what: 'a checksum that is wrong',
    bytes: archive(record({ name: 'a', magic: '070702', data: 'abc', checksum: 1 }), file('no')),
    stop: 'bad-checksum',
  },
  {
    what: 'a wrong checksum of a record that is dropped anyway',
    bytes: archive(record({ name: 'y/a', magic: '070702', data: 'abc', checksum: 1 }), file('ok')),
    found: ['no-parent'],
  },
  {
    what: 'the old format',
    bytes: Buffer.concat([good, padded(Buffer.from('070707' + '0'.repeat(110)))]),
    stop: 'old-format',
  },
  {
    what: 'no magic',
    bytes: Buffer.concat([file('a'), Buffer.from('0'.repeat(112)), file('b')]),
    stop: 'no-magic',
  },
  {
    what: 'junk behind an archive',
    bytes: Buffer.concat([good, Buffer.from('junk'), after]),
    stop: 'unknown-magic',
  },
  {
    what: 'an archive at no multiple of 4',
    bytes: Buffer.concat([good, Buffer.alloc(2), after]),
    stop: 'broken-padding',
  },
  {
    what: 'zeros between, at a multiple of 4',
    bytes: Buffer.concat([good, Buffer.alloc(1028), after]),
  },
  { what: 'no end record at all', bytes: Buffer.concat([x, file('x/a', 'abc').subarray(0, -1)]) },
  {
    what: 'records behind the end record at once',
    bytes: Buffer.concat([x, trailer(), file('x/a')]),
  },
  {
    what: 'cut off in a name',
    bytes: Buffer.concat([x, file('x/abc').subarray(0, 112)]),
    stop: 'cut-off',
  },
  {
    what: 'cut off in data',
    bytes: Buffer.concat([x, file('x/a', Buffer.alloc(9000, 'd')).subarray(0, 5000)]),
    stop: 'cut-off',
  },
  {
    what: 'a name without an end',
    bytes: Buffer.concat([good, record({ name: Buffer.from('abcd'), data: 'x' }), file('no')]),
    stop: 'name-without-end',
  },
  {
    what: 'a digit that is none',
    bytes: Buffer.concat([good, file('a', 'x', { inoText: '0000000g' }), file('no')]),
    stop: 'damaged-header',
    since: '7.0',
  },
  {
    what: 'gzip, zstd, xz and a plain one',
    bytes: padded(
      Buffer.concat([
        compressed('gzip', good),
        compressed('zstd', archive(file('z'))),
        padded(compressed('xz', archive(file('y')))),
      ]),
    ),
  },
  { what: 'lz4, twice', bytes: Buffer.concat([compressed('lz4', good), compressed('lz4', after)]) },
  {
    what: 'bzip2, and others behind it',
    bytes: Buffer.concat([
      compressed('bzip2', good),
      Buffer.alloc(3),
      compressed('bzip2', archive(file('z'))),
      compressed('gzip', after),
    ]),
  },
  {
    what: 'bzip2 in streams that end within a record, as pbzip2 makes them',
    bytes: Buffer.concat([
      compressed('bzip2', file('a', 'data').subarray(0, 114)),
      compressed('bzip2', after),
    ]),
    stop: 'junk-at-end',
  },
  { what: 'lzma', bytes: compressed('lzma', good) },
  {
    what: 'a compressed one at an odd place',
    bytes: Buffer.concat([
      compressed('gzip', good),
      Buffer.alloc(odd.length % 2 === 0 ? 1 : 2),
      compressed('zstd', after),
    ]),
  },
  {
    what: 'a plain one at no multiple of 4 behind gzip',
    bytes: Buffer.concat([odd, Buffer.alloc(((-odd.length & 3) + 1) & 3 || 1), after]),
    stop: 'unknown-magic',
  },
  {
    what: 'hard links over two compressed members',
    bytes: Buffer.concat([
      compressed('gzip', record({ name: 'a', ...two })),
      compressed('zstd', archive(record({ name: 'b', ...two, data: 'data' }))),
    ]),
  },
  {
    what: 'a member that ends within a record',
    bytes: Buffer.concat([
      compressed('gzip', file('a', 'data').subarray(0, 114)),
      compressed('gzip', after),
    ]),
    stop: 'junk-at-end',
  },
  {
    what: 'junk within a member',
    bytes: compressed('gzip', Buffer.concat([good, Buffer.from('junk'), after])),
    stop: 'junk',
  },
  {
    what: 'xz with CRC64',
    bytes: Buffer.concat([good, compressed('xz', after, ['--check=crc64'])]),
    stop: 'cannot-unpack',
  },
  {
    what: 'lz4 of the new format',
    bytes: Buffer.concat([good, Buffer.from('04224d186440a7', 'hex')]),
    stop: 'unknown-magic',
  },
  {
    what: 'gzip that is cut off',
    bytes: Buffer.concat([good, compressed('gzip', after).subarray(0, 60)]),
    stop: 'cannot-unpack',
  },
  {
    what: 'what the kernel itself brings along',
    bytes: archive(
      file('dev/x'),
      file('root/x'),
      record({ name: 'dev/console', mode: 0o020620, rdev: [4, 1] }),
    ),
    found: ['device-kept'],
  },
];
