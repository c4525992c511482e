/**
 * The archive of processor microcode that the kernel looks for before it unpacks anything, made from
 * the root's own firmware. Owns what is taken for microcode and the archive's layout. Must not know
 * where it goes.
 */
import { TraceError } from '../../common/errors.ts';
import { headerLength, paddingOf, trailer, writeHeader } from '../cpio.ts';
import { RootFiles } from '../needs/root-files.ts';
import type { Problem } from '../plan-types.ts';
import { type Resolver, toBytes } from '../resolve.ts';
import type { Tree } from '../tree.ts';

interface Vendor {
  readonly folder: string;
  readonly ending: string;
  /** Names of x86/microcode in the kernel. */
  readonly file: string;
  /** An update of Intel's header version 1; AMD's container. */
  readonly begins: Buffer;
}

const VENDORS: readonly Vendor[] = [
  {
    folder: 'lib/firmware/amd-ucode',
    ending: '.bin',
    file: 'AuthenticAMD.bin',
    begins: Buffer.from([0x44, 0x4d, 0x41, 0x00]),
  },
  {
    folder: 'lib/firmware/intel-ucode',
    ending: '',
    file: 'GenuineIntel.bin',
    begins: Buffer.from([0x01, 0x00, 0x00, 0x00]),
  },
];

/** What firmware is packed with, which the kernel takes only later. */
const PACKED = /\.(?:xz|zst)$/;
/** Far more than there is: some 100 KB each. All of it is read into memory. */
const MOST_FILE = 4 << 20;
const MOST_ALL = 64 << 20;
/** The processor wants an update at a multiple of 16 (Intel SDM 3A, 10.11); each is whole KiB. */
const ALIGNMENT = 16;

export interface MicrocodeOptions {
  readonly tree: Tree;
  readonly resolver: Resolver;
  readonly problems: Problem[];
}

/** A whole archive; null (and a problem) if none was found. */
export function microcodeArchive({ tree, resolver, problems }: MicrocodeOptions): Buffer | null {
  const files = new RootFiles(resolver, tree);
  const contents = VENDORS.map((vendor) => ({ vendor, parts: partsOf(vendor, files) }));
  for (const { parts } of contents) for (const { path } of parts) checkSame(path, tree, resolver);
  const odd = files.skipped();
  if (odd.length > 0)
    problems.push({
      code: 'not-microcode',
      message:
        `${odd.length} files of /lib/firmware are not taken for microcode, the first is ` +
        `/${toBytes(odd[0]?.path ?? '').toString()}: ${odd[0]?.why ?? ''}` +
        (files.isTired ? '; there are more files than are looked at' : ''),
      hint: 'unpack compressed ones in the root; the kernel wants them plain, so early',
    });
  const found = contents.filter(({ parts }) => parts.length > 0);
  if (found.length === 0) {
    if (files.isTired) return null;
    problems.push({
      code: 'no-microcode',
      message: 'the root has no microcode in /lib/firmware/intel-ucode or /lib/firmware/amd-ucode',
      hint: 'install it there (Debian: intel-microcode, amd64-microcode), or leave --early-microcode out',
    });
    return null;
  }
  return archiveOf(
    found.map(({ vendor, parts }) => [
      vendor.file,
      Buffer.concat(parts.map(({ content }) => content)),
    ]),
  );
}

/** Half of an old and half of a new update is worse than none. */
function checkSame(path: string, tree: Tree, resolver: Resolver): void {
  const before = resolver.lstat(path);
  const now = tree.lstat(toBytes(path));
  const same = (['ino', 'size', 'mtime', 'mtimeNsec', 'ctime', 'ctimeNsec'] as const).every(
    (field) => before?.[field] === now?.[field],
  );
  if (same) return;
  throw new TraceError({
    code: 'drift',
    message: `/${toBytes(path).toString()} changed while it was read`,
    hint: 'export again when nobody writes to the root',
    exit: 'failed',
  });
}

interface Part {
  readonly path: string;
  readonly content: Buffer;
}

/** Contents in bytewise order of the names. */
function partsOf({ folder, ending, begins }: Vendor, files: RootFiles): Part[] {
  const parts: Part[] = [];
  let bytes = 0;
  for (const name of files.list(folder)) {
    const path = files.file(`${folder}/${name}`);
    if (path === null || !name.replace(PACKED, '').endsWith(ending)) continue;
    if (!files.read(path, 0, begins.length).equals(begins)) {
      files.skip(path, 'it does not begin as microcode does');
      continue;
    }
    const content = files.whole(path, Math.min(MOST_FILE, MOST_ALL - bytes));
    if (content === null) continue;
    parts.push({ path, content });
    bytes += content.length;
  }
  return parts;
}

const FOLDERS = ['kernel', 'kernel/x86', 'kernel/x86/microcode'];

function archiveOf(files: readonly (readonly [string, Buffer])[]): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  const add = (name: Buffer, mode: number, content: Buffer): void => {
    const head = Buffer.alloc(headerLength(name.length));
    writeHeader(head, 0, {
      inode: parts.length + 1,
      mode,
      uid: 0,
      gid: 0,
      nlink: 1,
      mtime: 0,
      size: content.length,
      rdevMajor: 0,
      rdevMinor: 0,
      name,
    });
    const record = Buffer.concat([head, content, Buffer.alloc(paddingOf(content.length))]);
    parts.push(record);
    at += record.length;
  };
  for (const folder of FOLDERS) add(Buffer.from(folder), 0o040755, Buffer.alloc(0));
  for (const [file, content] of files) {
    const name = `kernel/x86/microcode/${file}`;
    // More than one NUL may end a name, for the kernel and for every cpio.
    const gap = -(at + headerLength(name.length)) & (ALIGNMENT - 1);
    add(Buffer.from(name + '\0'.repeat(gap)), 0o100644, content);
  }
  return Buffer.concat([...parts, trailer(at)]);
}
