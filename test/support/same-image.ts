/**
 * What must come out the same on any machine: a root with everything that differs between two copies
 * of it, sessions of that root, and every kind of export of them. Owns these three and how two
 * machines' outputs are compared. Must not know what the machines are.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, linkSync, lstatSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { operationBit } from '../../src/common/words.ts';
import { Store, type NewFile } from '../../src/store/store.ts';
import { busyboxRoot, copyProgram } from '../image/init-run.ts';
import { allPaths, makeTree, put, run, setTimes } from '../image/support.ts';

/** Everything of the root. */
const WHOLE = 'session-1';
/** What a list for the kernel's build can hold: no blanks in names, no attributes. */
const PLAIN = 'session-2';

export interface Export {
  /** Of the output, in the folder where the command runs. */
  readonly output: string;
  /** After `trace`. */
  readonly args: readonly string[];
}

/** Every format and compression; each other choice in at least one of them. */
export const EXPORTS: readonly Export[] = [
  kind('own.cpio', '--report', 'own.json'),
  kind('own.cpio.gz', '--report', 'own.txt'),
  kind('own.cpio.zst', '--report', 'own.html'),
  kind('exec.cpio.xz', '--init', 'exec', '--compress', 'xz:0'),
  kind('rambox.cpio.lz4', '--init', 'rambox', '--owner', '0:7', '--group', '42:0'),
  kind('crc.cpio', '--format', 'newc-crc', '--early-microcode', '--report', 'crc.json'),
  kind(
    'crc.cpio.gz',
    '--format',
    'newc-crc',
    '--skeleton',
    '--init',
    'exec',
    '--ops',
    'read,getattr',
  ),
  kind('crc.cpio.zst', '--format', 'newc-crc', '--early-microcode', '--init', 'preboot'),
  kind('crc.xz', '--format', 'newc-crc', '--all-root', '--compress', 'xz:0', '--until', 'later'),
  kind('crc.lz4', '--format', 'newc-crc', '--include', '/usr/share/', '--exclude', '/srv/many/a*'),
  kind('whole.list', '--format', 'list', '--exclude', 'new?line'),
  kind('whole.list0', '--format', 'list0', '--skeleton'),
  kind('manifest.json', '--format', 'manifest', '--skeleton', '--init', 'exec', '--owner', '0:9'),
  kind('bom.json', '--format', 'cyclonedx'),
  { output: 'kernel.list', args: of('kernel.list', PLAIN, ['--format', 'gen-init-cpio']) },
];

function kind(output: string, ...more: readonly string[]): Export {
  return { output, args: of(output, WHOLE, more) };
}

function of(output: string, session: string, more: readonly string[]): string[] {
  return ['export', session, '-o', output, '--json', ...more];
}

/** The files that an export writes. */
function filesOf({ output, args }: Export): string[] {
  const report = args.indexOf('--report');
  return report < 0 ? [output] : [output, args[report + 1] ?? ''];
}

/** A root of all types of files, several frames long. */
export function makeSameRoot(root: string): void {
  makeTree(root);
  busyboxRoot(root);
  for (const name of ['setfattr', 'getfattr']) copyProgram(root, `/usr/bin/${name}`);
  makeText(root);
  // The order in which a directory gives its names decides nothing: which of three names is first.
  for (const name of ['z', 'm', 'a', 'q'])
    for (const folder of ['many', 'more']) {
      mkdirSync(join(root, 'srv', folder), { recursive: true });
      linkSync(join(root, 'usr/share/text-0'), join(root, 'srv', folder, name));
    }
  // Turkish has them in another order, and another I for the i.
  for (const name of ['ix', 'Iy']) put(join(root, 'srv/letters', name), name);
  put(join(root, 'lib/firmware/intel-ucode/06-8c-01'), '\x01\0\0\0 of one processor');
  put(join(root, 'lib/firmware/intel-ucode/06-0f-0b'), '\x01\0\0\0 of another');
  for (const name of ['config-6.1', 'config-5.10', 'config-6.12'])
    put(join(root, 'boot', name), 'CONFIG_RD_ZSTD=y\n');
  put(join(root, 'etc/os-release'), 'ID=debian\nVERSION_ID="12"\n');
  put(join(root, 'config'), 'MODULES="b a"\nAOE_IFACES=eth1\n');
  put(join(root, 'var/lib/dpkg/status'), ['zz', 'aa', 'mm'].map(stanza).join('\n'));
  for (const name of ['zz', 'aa', 'mm'])
    put(join(root, `var/lib/dpkg/info/${name}.list`), '/usr/bin/tool\n/bin/busybox\n');
  giveAttributes(root);
  setTimes(root);
}

function stanza(name: string): string {
  return `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1-1\n`;
}

/** By the hash of their paths the last two each end a frame. */
const TEXTS = [...Array(40).keys(), 166, 268];

/** Text compresses as programs do: many short repetitions, where compressors differ if they do. */
function makeText(root: string): void {
  let state = 1;
  const next = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 16) % below;
  };
  const words = Array.from({ length: 2000 }, () => (next(65_536) * 7 + 11).toString(36));
  for (const file of TEXTS) {
    const text: string[] = [];
    for (let word = 0; word < 26_000; word++) text.push(words[next(next(2000) + 1)] ?? '');
    put(join(root, `usr/share/text-${file}`), text.join(' '));
  }
}

function giveAttributes(root: string): void {
  const at = (name: string) => join(root, 'odd', name);
  put(at('capable'), 'x');
  chmodSync(at('capable'), 0o755);
  run('setcap', ['cap_net_raw,cap_net_admin+ep', at('capable')]);
  run('setfacl', ['-m', 'u:1234:rw,g:77:r', at('capable')]);
  run('setfacl', ['-d', '-m', 'u:4321:rwx', join(root, 'odd')]);
  for (const name of ['user.z', 'user.a', 'user.m'])
    run('setfattr', ['-n', name, '-v', `0x00${Buffer.from(name).toString('hex')}ff`, at('-dash')]);
}

const T0 = 1_700_000_000_000_000;
const OPERATIONS = (['read', 'readlink', 'readdir', 'getattr'] as const).map(operationBit);

/** Sessions of that root as a recorder writes them, in a database of its own. */
export function recordSessions(database: string, root: string): void {
  const store = Store.open({ path: database });
  try {
    const rootId = store.ensureRoot(Buffer.from(root));
    const recording = { rootId, label: 'same', clients: [], tier: 'exact', atUs: T0 } as const;
    const recordingId = store.startRecording(recording);
    const session = {
      ...{ rootId, recordingId, client: '10.0.0.7', evidence: { kind: 'nfs3-mount' as const } },
      ...{ partial: false, openedUs: T0, lastUs: T0 + 1 },
    };
    const files = filesIn(root, rootId);
    const seenBy = (sessionId: number) => (file: NewFile) => ({
      ...{ sessionId, fileId: file.id, operations: operationOf(file), count: 1 },
      ...{ bytes: file.id % 2 === 0 ? file.size : file.id, order: file.id },
      ...{ firstUs: T0 + file.id, lastUs: T0 + file.id, evidence: 'nfsd' as const },
    });
    store.ingest({
      atUs: T0,
      opened: [1, 2].map((id) => ({ id, ...session })),
      files,
      accesses: [...files.map(seenBy(1)), ...files.filter(isPlain).map(seenBy(2))],
    });
    store.addMark({ text: 'later', atUs: T0 + files.length - 20, sessionIds: [1, 2] });
    const closed = [1, 2].map((id) => ({ id, reason: 'stop' as const, atUs: T0 + 9_000_000 }));
    store.ingest({ atUs: T0 + 9_000_000, closed });
    store.stopRecording(recordingId, T0 + 9_000_000);
  } finally {
    store.close();
  }
}

/** Some were only looked at, a few of the texts were not used at all. */
function operationOf({ id, mode }: NewFile): number {
  const type = mode & 0o170000;
  const used = type === 0o120000 ? 1 : type === 0o040000 ? 2 : 0;
  return OPERATIONS[id % 7 === 0 ? 3 : used] ?? 0;
}

function isPlain({ names }: NewFile): boolean {
  return names.every((name) => !name.toString('latin1').startsWith('odd'));
}

function filesIn(root: string, rootId: number): NewFile[] {
  const files = new Map<bigint, NewFile & { readonly names: Buffer[] }>();
  for (const name of allPaths(root).sort((a, b) => a.compare(b))) {
    if (/^usr\/share\/text-.*7$/.test(name.toString('latin1'))) continue;
    const found = lstatSync(Buffer.concat([Buffer.from(`${root}/`), name]), { bigint: true });
    const { dev, ino, mode, uid, gid, size, mtimeNs, nlink } = found;
    const known = files.get(ino);
    if (known !== undefined) {
      known.names.push(name);
      continue;
    }
    const id = files.size + 1;
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32LE(id);
    files.set(ino, {
      ...{ id, rootId, handle: { type: 1, bytes }, dev: Number(dev), inode: ino },
      ...{ mode: Number(mode), uid: Number(uid), gid: Number(gid), size: Number(size) },
      ...{ mtimeNs, nlink: Number(nlink), names: [name] },
    });
  }
  return [...files.values()];
}

/**
 * The root as a tar archive whose files come in an order that no walk gives, and then each directory
 * after all that is in it: what is made in one would change its time.
 */
export function packShuffled(root: string, archive: string): void {
  const rank = (path: Buffer) => createHash('sha256').update('order').update(path).digest();
  const isDirectory = (path: Buffer) =>
    lstatSync(Buffer.concat([Buffer.from(`${root}/`), path])).isDirectory();
  const all = allPaths(root);
  const ordered = [
    ...all.filter((path) => !isDirectory(path)).sort((a, b) => rank(a).compare(rank(b))),
    ...all.filter(isDirectory).sort((a, b) => b.compare(a)),
  ];
  const input = Buffer.concat(ordered.flatMap((path) => [path, Buffer.from('\0')]));
  const words = ['--create', '--file', archive, '--format=posix', ...WITH_ATTRIBUTES];
  const list = ['--no-recursion', '--verbatim-files-from', '--null', '--files-from=-'];
  run('tar', [...words, '--directory', root, ...list], { input });
}

const WITH_ATTRIBUTES = ['--acls', '--xattrs', '--xattrs-include=*', '--numeric-owner'];
/** To be followed by the archive; unpacks into the working directory, links as they are at once. */
export const UNPACK = [
  ...['tar', '--extract', '--absolute-names', '--preserve-permissions', ...WITH_ATTRIBUTES],
  '--file',
];

/** What a command said, and the folder where it wrote. */
export interface Made {
  readonly folder: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Another one wrote the same files with the same modes, and said the same. */
export function assertSame(one: Export, made: Made, again: Made): void {
  const what = `trace ${one.args.join(' ')}`;
  assert.equal(again.stderr, made.stderr, what);
  assert.deepEqual(JSON.parse(again.stdout), JSON.parse(made.stdout), what);
  assert.equal(again.stdout, made.stdout, what);
  for (const name of filesOf(one)) {
    const [bytes, others] = [made, again].map(({ folder }) => readFileSync(join(folder, name)));
    assert.ok(bytes !== undefined && others !== undefined && bytes.length > 0, name);
    if (!bytes.equals(others)) assert.fail(`${what}: ${name} ${difference(bytes, others)}`);
    const [mode, other] = [made, again].map(({ folder }) => lstatSync(join(folder, name)).mode);
    assert.equal(other, mode, `${what}: the mode of ${name}`);
  }
}

/** All that was made is what was asked for. */
export function assertWhole(folder: string): void {
  assert.deepEqual(readdirSync(folder).sort(), EXPORTS.flatMap(filesOf).sort());
}

function difference(bytes: Buffer, others: Buffer): string {
  const at = bytes.findIndex((byte, index) => byte !== others[index]);
  const [near, other] = [bytes, others].map((all) =>
    JSON.stringify(all.subarray(Math.max(0, at - 150), at + 50).toString('latin1')),
  );
  return `has ${bytes.length} and ${others.length} bytes, first different at ${at}: ${near} ${other}`;
}
