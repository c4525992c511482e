/**
 * Roots with real programs on a scratch file system, and the built `trace` beside them.
 * Owns the file system, the place, and the roots' contents.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import {
  makeFileSystem,
  type FileSystemKind,
  type MountedFileSystem,
} from '../index/file-systems.ts';
import { TraceSandbox, type Ran } from '../support/trace-sandbox.ts';

/** What every test here needs of the machine. */
export const NEEDED = ['root', 'loop', 'fanotify', 'handles', 'namespaces'] as const;

const FOLDERS = ['usr/bin', 'usr/lib', 'lib64', 'proc', 'sys', 'dev/pts', 'tmp', 'root', 'etc'];
const NODES: readonly (readonly [string, number, number])[] = [
  ['null', 1, 3],
  ['zero', 1, 5],
  ['tty', 5, 0],
  ['ptmx', 5, 2],
];

export interface Root {
  readonly path: string;
  /** Paths in the root of the named programs and all that they load. */
  loaded(...programs: readonly string[]): Set<string>;
}

export interface Recorded {
  readonly ran: Ran;
  readonly session: string;
}

export class LocalRig {
  readonly disk: MountedFileSystem;
  readonly sandbox = new TraceSandbox();

  constructor(kind: FileSystemKind = 'ext4') {
    this.disk = makeFileSystem(kind);
  }

  /** A merged-/usr root with these programs of this machine, their libraries and device nodes. */
  makeRoot(name: string, programs: readonly string[]): Root {
    const path = join(this.disk.path, name);
    for (const folder of FOLDERS) mkdirSync(join(path, folder), { recursive: true });
    symlinkSync('usr/bin', join(path, 'bin'));
    symlinkSync('usr/lib', join(path, 'lib'));
    for (const [node, major, minor] of NODES)
      execFileSync('mknod', [join(path, 'dev', node), 'c', `${major}`, `${minor}`]);
    writeFileSync(join(path, 'etc/motd'), 'welcome\n');
    writeFileSync(join(path, 'etc/unused'), 'nobody reads this\n');
    const files = new Map(programs.map((program) => [program, copyProgram(program, path)]));
    const loaded = (...wanted: readonly string[]): Set<string> =>
      new Set(wanted.flatMap((program) => files.get(program) ?? assert.fail(program)));
    return { path, loaded };
  }

  /** A root of one static busybox under these names. */
  makeBusybox(name: string, applets: readonly string[]): Root {
    const root = this.makeRoot(name, ['busybox']);
    for (const applet of applets) symlinkSync('busybox', join(root.path, 'usr/bin', applet));
    return root;
  }

  /** Runs the command and insists that all of it was recorded. */
  async record(root: Root, command: readonly string[], code = 0): Promise<Recorded> {
    const ran = await this.sandbox.run(['run', '--root', root.path, '--', ...command]);
    assert.equal(ran.code, code, ran.stderr + ran.text);
    const [, session = ''] = /^recorded (session-\d+)$/m.exec(ran.stderr) ?? [];
    assert.notEqual(session, '', ran.stderr);
    return { ran, session };
  }

  /** Paths of a session, without the leading slash, with the operations. */
  async operations(session: string): Promise<Map<string, string>> {
    const body = await this.sandbox.json<{
      files: { path: string; path_base64?: string; operations: string[] }[];
    }>(['files', session]);
    return new Map(
      body.files.map(({ path, path_base64: bytes, operations }) => [
        (bytes === undefined ? path : Buffer.from(bytes, 'base64').toString('latin1')).replace(
          /^\//,
          '',
        ),
        operations.join(' '),
      ]),
    );
  }

  /** Paths of regular files and links of a session that were read. */
  async read(session: string): Promise<Set<string>> {
    const all = await this.operations(session);
    return new Set([...all].filter(([, done]) => /\bread\b/.test(done)).map(([path]) => path));
  }

  async remove(): Promise<void> {
    await this.sandbox.remove();
    this.disk.remove();
  }
}

/** Puts a program and what the loader takes for it into a root; the paths there. */
function copyProgram(program: string, root: string): string[] {
  const from = findProgram(program);
  const libraries = librariesOf(from);
  const at = [`usr/bin/${program}`, ...libraries.map(placeOf)];
  copyFileSync(from, join(root, `usr/bin/${program}`));
  for (const library of libraries) {
    const to = join(root, placeOf(library));
    mkdirSync(dirname(to), { recursive: true });
    if (!existsSync(to)) copyFileSync(library, to);
  }
  return at;
}

function findProgram(name: string): string {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  const found = ['/usr/bin', ...folders].find((folder) => existsSync(join(folder, name)));
  assert.ok(found !== undefined, `this machine has no ${name}`);
  return realpathSync(join(found, name));
}

/** As the machine's own loader names them; none for a static program. */
function librariesOf(file: string): string[] {
  try {
    const text = execFileSync('ldd', [file], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return text.match(/(?<=\s)\/\S+/g) ?? [];
  } catch {
    return [];
  }
}

/** /lib is a link in the root, as it is here. */
const placeOf = (library: string): string =>
  library.replace(/^\/(lib\/)/, 'usr/$1').replace(/^\//, '');
