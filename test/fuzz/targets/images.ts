/**
 * Images, made by record and by member, right and a little wrong. Owns what is likely in one; the
 * same choices give the same image.
 */
import { deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib';
import {
  CHARACTER,
  DIRECTORY,
  FILE,
  LINK,
  padded,
  record,
  trailer,
} from '../../image/tools/craft.ts';
import { fixture } from '../fixtures.ts';
import { mutate, ODD_NUMBERS } from '../mutate.ts';
import type { Random } from '../random.ts';

/** Where the extraction's fuzzer has something that no archive may touch. */
export const OUTSIDE = '../outside/kept';

const PARTS = ['a', 'b', 'c', 'dev', 'root', 'etc', '.', '..', '', 'l', 'n'.repeat(255)];
const NAMES = [
  'init', 'dev/console', 'dev/null', 'etc/passwd', 'lib/modules/6.1/modules.dep', 'usr/bin/x',
  'TRAILER!!!', '/', '.', '..', './a', 'a//b', '/a/b', 'a\nb', 'a\xffb', 'n'.repeat(256),
  OUTSIDE, `a/../../${OUTSIDE}`, 'l/outside/kept', 'l/kept', '.node-x', 'kernel/x86/microcode/x',
]; // prettier-ignore
const TARGETS = [
  '..',
  '../outside',
  OUTSIDE,
  '/',
  'a',
  'b/c',
  '.',
  'l',
  '',
  'x'.repeat(4095),
  'x'.repeat(4096),
];
/** To say what is in a file that is cut off, all of its size is hashed. */
const SIZES = ODD_NUMBERS.filter((size) => size < 1 << 24);
const FIFO = 0o010644;
const TYPES = [FILE, FILE, FILE, DIRECTORY, DIRECTORY, LINK, LINK, CHARACTER, 0o060600, FIFO];
const CHECKSUM = '070702';
const CONTENTS = [
  '', 'x', 'root:x:0:0:root:/root:/bin/sh\n', '#!/bin/sh\n', '\x7fELF\x02\x01\x01', 'y'.repeat(5000),
  '[Service]\nExecStart=/usr/bin/x\nUser=nobody\n', 'kernel/a.ko: kernel/b.ko\n',
]; // prettier-ignore

function nameOf(random: Random): string {
  if (random.once(2)) return random.pick(NAMES);
  return Array.from({ length: 1 + random.few(6) }, () => random.pick(PARTS)).join('/');
}

/** One record; its header may say what is not so. */
function anyRecord(random: Random): Buffer {
  const mode = random.once(12)
    ? random.below(0x10000)
    : random.pick(TYPES) ^ (random.once(6) ? random.below(0o10000) : 0);
  const isLink = (mode & 0o170000) === (LINK & 0o170000);
  const data = isLink
    ? random.pick(TARGETS)
    : (mode & 0o170000) === (FILE & 0o170000)
      ? random.pick(CONTENTS)
      : '';
  const magic = random.once(10) ? CHECKSUM : '070701';
  const sum = Buffer.from(data, 'latin1').reduce((all, byte) => all + byte, 0);
  return record({
    name: nameOf(random),
    mode,
    data: Buffer.from(data, 'latin1'),
    ino: random.below(6),
    nlink: random.pick([1, 1, 1, 2, 3, 0]),
    uid: random.pick([0, 0, 1000, 0xffffffff]),
    gid: random.pick([0, 0, 1000, 0xffffffff]),
    mtime: random.pick([0, 1_000_000_000, 0xffffffff]),
    rdev: [random.pick([0, 1, 5, 0xfff, 0xfffff]), random.pick([0, 1, 3, 0xffffff])],
    magic: random.once(60) ? random.pick(['070707', '07070x', '0707', '']) : magic,
    checksum: random.once(10) ? 1 : magic === CHECKSUM ? sum : 0,
    ...(random.once(40) && { nameSize: random.pick(ODD_NUMBERS) }),
    ...(random.once(40) && { size: random.pick(random.once(30) ? ODD_NUMBERS : SIZES) }),
    ...(random.once(80) && { inoText: random.pick(['0000000g', '+1234567', '        ', '0x000001']) }),
  }); // prettier-ignore
}

const FOLDERS = [
  'etc', 'etc/systemd', 'etc/systemd/system', 'lib', 'lib/modules', 'lib/modules/6.1', 'lib/modules/6.1/kernel', 'usr', 'usr/bin',
  'var', 'var/lib', 'var/lib/systemd',
]; // prettier-ignore
const KEY = '-----BEGIN RSA PRIVATE KEY-----\n';
const UNIT =
  '[Service]\nExecStart=-/usr/bin/x -a\nExecStartPre = "y z"\nUser= nobody \nGroup=y\nDynamicUser=no\n';
const WELL_KNOWN: readonly (readonly [string, string])[] = [
  ['init', '#!/bin/sh\n'], ['etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nx:x:1:y::/:\n'],
  ['etc/group', 'root:x:0:\n'], ['etc/shadow', 'root:$6$x:1\n'], ['etc/machine-id', `${'0'.repeat(32)}\n`],
  ['etc/key', KEY], ['etc/systemd/system/a.service', UNIT], ['etc/systemd/system/b.service', UNIT],
  ['lib/modules/6.1/modules.dep', 'kernel/a.ko: kernel/b.ko\n/x.ko:\n'],
  ['lib/modules/6.1/kernel/a.ko', 'x'], ['lib/modules/6.1/kernel/b.ko', 'x'], ['var/lib/systemd/random-seed', 'x'],
  ['etc/systemd/system/x.socket', UNIT], ['usr/bin/x', '#!/bin/sh\n'],
]; // prettier-ignore

/** What lint looks at, so that it has something to find. */
function usual(random: Random): Buffer[] {
  const texts = WELL_KNOWN.map(([name, text]) => {
    const data = Buffer.from(text);
    const wrong = random.once(3) ? mutate(random, data, [UNIT, KEY, ' = ', '\nUser=', ':']) : data;
    const made = record({ name, data: wrong, mode: FILE, ino: 0, mtime: 0 });
    return random.once(8) ? Buffer.alloc(0) : made;
  });
  const folders = FOLDERS.map((name) => record({ name, mode: DIRECTORY, ino: 0, mtime: 0 }));
  return [...folders, ...texts];
}

/** What would lead to {@link OUTSIDE} if a link or `..` were followed on the disk, not in the image. */
function wayOut(random: Random): Buffer[] {
  const own = { ino: random.below(6), mtime: 0, nlink: random.pick([1, 1, 2]) };
  const steps = [
    record({ name: 'outside', mode: DIRECTORY, ...own }),
    record({ name: 'l', mode: LINK, data: random.pick(['..', '../outside', '/', '/../outside']), ...own }),
    record({ name: random.pick(['outside/kept', 'm']), mode: LINK, data: OUTSIDE, ...own }),
    record({ name: random.pick([OUTSIDE, 'l/outside/kept', 'l/kept', 'l', 'm', `/${OUTSIDE}`]), data: 'x', mode: FILE, ...own }),
    record({ name: random.pick(['../outside', 'l/outside', 'l', 'm']), mode: random.pick([DIRECTORY, LINK, FIFO, 0]), ...own }),
  ]; // prettier-ignore
  return random.once(2) ? steps : steps.filter(() => !random.once(3));
}

function plainArchive(random: Random): Buffer {
  const records = random.once(3) ? usual(random) : [];
  for (let more = random.few(24); more > 0; more--) records.push(anyRecord(random));
  if (random.once(4)) records.splice(random.below(records.length + 1), 0, ...wayOut(random));
  if (!random.once(5)) records.push(trailer());
  return padded(Buffer.concat(records), random.pick([4, 512]));
}

/** Made once by the programs, with their own ways to cut a stream. */
const PACKED = [
  'small.cpio.xz', 'small.cpio.lz4', 'small.cpio.zst', 'small.cpio.gz', 'small.cpio.bz2', 'small.cpio.lzma',
  'blocks.cpio.xz', 'sha256.cpio.xz', 'stopped.cpio.gz',
]; // prettier-ignore

function member(random: Random): Buffer {
  const plain = plainArchive(random);
  switch (random.below(10)) {
    case 0:
      return gzipSync(plain, { level: 1 });
    case 1:
      return zstdCompressSync(plain);
    case 2:
      return Buffer.concat([Buffer.from('1f8b0808000000000003', 'hex'), Buffer.from('name\0'), deflateRawSync(plain), Buffer.alloc(8)]); // prettier-ignore
    default:
      return plain;
  }
}

export function anyImage(random: Random): Buffer {
  const pieces: Buffer[] = [];
  for (let members = 1 + random.few(3); members > 0; members--) {
    const made = member(random);
    pieces.push(random.once(6) ? mutate(random, made) : made);
    if (random.once(3)) pieces.push(Buffer.alloc(random.pick([1, 2, 3, 4, 512, 4096])));
  }
  const image = Buffer.concat(pieces);
  return random.once(4) ? mutate(random, image) : image;
}

/** Members that programs have packed and, of two kinds, unpack, one behind the other. */
export function anyPacked(random: Random): Buffer {
  const pieces = Array.from({ length: 1 + random.few(2) }, () => {
    const packed = fixture(`cpio/${random.pick(PACKED)}`);
    return random.once(2) ? mutate(random, packed) : packed;
  });
  const image = padded(Buffer.concat(pieces), random.pick([1, 4]));
  return random.once(2) ? mutate(random, image) : image;
}

/** One plain archive. */
export function anyArchive(random: Random): Buffer {
  const archive = plainArchive(random);
  return random.once(3) ? mutate(random, archive) : archive;
}
