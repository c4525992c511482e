/**
 * Puts an image's file tree into an empty folder, as the kernel would into its own. Owns the folder
 * while it is filled. Must not follow a link, or touch anything outside.
 *
 * What is made has paths without links, `..` or a leading slash: they come from the tree, where the
 * image's root is `/`. The folder is this process's working directory and nobody else's until the end,
 * so that neither an archive nor another user can put a link in the way; what is there already ends
 * the extraction. Modes and owners come last, the folder's own at the very end.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  constants,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { TraceError } from '../../common/errors.ts';
import type { KernelTree, TreeNode } from './kernel-tree.ts';
import type { Disk } from './kernel-unpacker.ts';
import { BLOCK, CHARACTER, DIRECTORY, FIFO, FILE, LINK, SOCKET } from './record.ts';
import type { DataTaker } from './record-reader.ts';

export interface ExtractionChoices {
  readonly folder: string;
  /** Give everything to whom the image says; else it belongs to who extracts. */
  readonly owners: boolean;
  readonly devices: boolean;
  /** Keep setuid and setgid bits. */
  readonly setId: boolean;
}

/** What was not done, and how often. */
export interface Skipped {
  devices: number;
  sockets: number;
  /** Links to nothing at all, which the kernel makes (init_symlink) and symlink(2) refuses. */
  emptyLinks: number;
  setId: number;
}

const SET_ID = 0o6000;
const PRIVATE = 0o700;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const OLD_FILE = constants.O_WRONLY | constants.O_TRUNC | constants.O_NOFOLLOW;

export class Extraction implements Disk {
  readonly skipped: Skipped = { devices: 0, sockets: 0, emptyLinks: 0, setId: 0 };
  entries = 0;
  bytes = 0;
  readonly #choices: ExtractionChoices;
  #open: number | null = null;

  constructor(choices: ExtractionChoices) {
    this.#choices = choices;
  }

  /** Throws `folder-not-usable`, `not-root`. From here on, relative paths are the folder's. */
  start(): void {
    const { folder, owners, devices } = this.#choices;
    if ((owners || devices) && process.geteuid?.() !== 0)
      throw new TraceError({
        code: 'not-root',
        message: 'only root can give files away and make devices',
        hint: 'run it as root, or leave --owners and --devices out',
        exit: 'permission',
      });
    try {
      mkdirSync(folder, PRIVATE);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw notUsable(folder, cause);
    }
    try {
      process.chdir(folder);
      if (statSync('.').uid !== process.geteuid?.()) throw new Error('it belongs to another user');
      chmodSync('.', PRIVATE);
      if (readdirSync('.').length > 0) throw new Error('it is not empty');
      for (const name of ['dev', 'root']) mkdirSync(name, PRIVATE);
    } catch (cause) {
      throw notUsable(folder, cause);
    }
  }

  make(path: string, node: TreeNode): void {
    this.#do(path, (name) => {
      if (node.type === DIRECTORY) mkdirSync(name, PRIVATE);
      else if (node.type === FILE) closeSync(openSync(name, NEW_FILE, 0o600));
      else if (node.type === LINK && !isEmptyLink(node))
        symlinkSync(bytesOf(node.target ?? ''), name);
    });
  }

  link(from: string, to: string, node: TreeNode): void {
    if (isSpecial(node) || isEmptyLink(node)) return;
    this.#do(to, (name) => linkSync(bytesOf(from), name));
  }

  remove(path: string, node: TreeNode): void {
    if (isSpecial(node) || isEmptyLink(node)) return;
    this.#do(path, (name) => (node.type === DIRECTORY ? rmdirSync(name) : unlinkSync(name)));
  }

  write(path: string): DataTaker {
    const fd = this.#do(path, (name) => openSync(name, OLD_FILE));
    this.#open = fd;
    return {
      data: (bytes) => {
        this.bytes += bytes.length;
        this.#do(path, () => {
          for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
        });
      },
      end: () => this.#close(),
    };
  }

  /** Devices, modes, owners and times, from the inside out. */
  finish(tree: KernelTree): void {
    this.#close();
    const made = new Map<TreeNode, string>();
    for (const [path, node] of [...tree.entries()].reverse()) {
      if (path === '') continue;
      if (node.builtIn) {
        if (node.type === DIRECTORY) this.#leave(path, node);
        continue;
      }
      if (isEmptyLink(node)) {
        this.skipped.emptyLinks++;
        continue;
      }
      if (isSpecial(node) && !this.#special(path, node, made)) continue;
      this.entries++;
      this.#do(path, (name) => this.#dress(name, node));
    }
    const { root } = tree;
    this.#do('.', (name) => (root.builtIn ? chmodSync(name, 0o755) : this.#dress(name, root)));
  }

  /** A directory that only the kernel has: it stays if something of the image is in it. */
  #leave(path: string, { mode }: TreeNode): void {
    this.#do(path, (name) => {
      if (readdirSync(name).length === 0) rmdirSync(name);
      else chmodSync(name, mode);
    });
  }

  #close(): void {
    if (this.#open !== null) closeSync(this.#open);
    this.#open = null;
  }

  #dress(name: Buffer, { type, mode, uid, gid, mtime }: TreeNode): void {
    const { owners, setId } = this.#choices;
    if (owners) lchownSync(name, uid, gid);
    // Before the mode: `.` itself may lose the x that leads to it.
    lutimesSync(name, mtime, mtime);
    if (type !== LINK) {
      const keeps = setId || (mode & SET_ID) === 0 || type === DIRECTORY;
      if (!keeps) this.skipped.setId++;
      chmodSync(name, keeps ? mode : mode & ~SET_ID);
    }
  }

  /** False if it is left out. A program makes it, by a name that every program takes. */
  #special(path: string, node: TreeNode, made: Map<TreeNode, string>): boolean {
    const { type, rdevMajor, rdevMinor } = node;
    if (type === SOCKET || (type !== FIFO && !this.#choices.devices)) {
      this.skipped[type === SOCKET ? 'sockets' : 'devices']++;
      return false;
    }
    const first = made.get(node);
    made.set(node, path);
    this.#do(path, (name) => {
      if (first !== undefined) {
        linkSync(bytesOf(first), name);
        return;
      }
      const folder = mkdtempSync('.node-');
      const kind =
        type === FIFO ? ['p'] : [type === BLOCK ? 'b' : 'c', `${rdevMajor}`, `${rdevMinor}`];
      execFileSync('mknod', ['-m', '600', `./${folder}/node`, ...kind]);
      renameSync(`./${folder}/node`, name);
      rmdirSync(folder);
    });
    return true;
  }

  #do<T>(path: string, act: (name: Buffer) => T): T {
    try {
      return act(bytesOf(path));
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      throw new TraceError({
        code: code === 'ENOSPC' ? 'output-full' : 'not-extracted',
        message: `cannot make ${Buffer.from(path, 'latin1').toString()} in ${this.#choices.folder}: ${message}`,
        hint: 'what was extracted until then is there, without its modes and owners; remove it',
        exit: code === 'ENOSPC' ? 'io' : 'cannotCreate',
        cause,
      });
    }
  }
}

const isSpecial = ({ type }: TreeNode): boolean =>
  type === CHARACTER || type === BLOCK || type === FIFO || type === SOCKET;

const isEmptyLink = ({ type, target }: TreeNode): boolean => type === LINK && target === '';

const bytesOf = (path: string): Buffer => Buffer.from(path, 'latin1');

function notUsable(folder: string, cause: unknown): TraceError {
  return new TraceError({
    code: 'folder-not-usable',
    message: `cannot extract to ${folder}: ${(cause as Error).message}`,
    hint: 'name a folder that does not exist yet, or an empty one of yours',
    exit: 'cannotCreate',
    cause,
  });
}
