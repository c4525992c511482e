/**
 * What the fanotify tests share: throw-away file systems, an actor process, events by name.
 */
import { execFileSync, fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { maskNames } from '../../src/fanotify-ts/index.ts';
import type { FileEvent } from '../../src/fanotify-ts/index.ts';
import { lacks } from '../capabilities.ts';

export interface ActorStep {
  readonly op:
    | 'read'
    | 'write'
    | 'append'
    | 'open'
    | 'list'
    | 'chmod'
    | 'mkdir'
    | 'rmdir'
    | 'unlink'
    | 'rename'
    | 'link'
    | 'symlink'
    | 'readlink'
    | 'stat';
  readonly path: Buffer;
  readonly to?: Buffer;
}

/** Another process; its events are of class `other`, and all of one pid. */
export class Actor {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(): Promise<Actor> {
    const child = fork(path.join(import.meta.dirname, 'actor.ts'), { serialization: 'advanced' });
    await once(child, 'message');
    return new Actor(child);
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  async do(...steps: ActorStep[]): Promise<void> {
    const done = once(this.#child, 'message', { signal: AbortSignal.timeout(20_000) });
    this.#child.send(steps);
    await done;
  }

  stop(): void {
    this.#child.disconnect();
  }
}

/** A mounted file system of its own. */
export class Disk {
  readonly dir: string;
  readonly #work: string;

  private constructor(work: string) {
    this.#work = work;
    this.dir = path.join(work, 'mnt');
    fs.mkdirSync(this.dir);
  }

  static ext4(...mkfsOptions: string[]): Disk {
    return Disk.#make((disk) => {
      execFileSync('truncate', ['-s', '48M', disk.image]);
      execFileSync('mkfs.ext4', ['-q', '-F', ...mkfsOptions, disk.image], { stdio: 'pipe' });
      disk.mount();
    });
  }

  static tmpfs(): Disk {
    return Disk.#make((disk) =>
      execFileSync('mount', ['-t', 'tmpfs', 'nfsroot-trace-test', disk.dir], { stdio: 'pipe' }),
    );
  }

  static #make(mount: (disk: Disk) => void): Disk {
    const work = fs.mkdtempSync(path.join(os.tmpdir(), 'fanotify-test.'));
    try {
      const disk = new Disk(work);
      mount(disk);
      return disk;
    } catch (error) {
      fs.rmSync(work, { recursive: true });
      throw error;
    }
  }

  get image(): string {
    return path.join(this.#work, 'disk');
  }

  get root(): Buffer {
    return Buffer.from(this.dir);
  }

  /** A path below the mount point. */
  at(name: string | Buffer): Buffer {
    return Buffer.concat([Buffer.from(`${this.dir}/`), Buffer.from(name as string)]);
  }

  mount(...options: string[]): void {
    execFileSync('mount', ['-o', ['loop', ...options].join(','), this.image, this.dir], {
      stdio: 'pipe',
    });
  }

  unmount(): void {
    execFileSync('umount', [this.dir]);
  }

  remount(option: string): void {
    execFileSync('mount', ['-o', `remount,${option}`, this.dir]);
  }

  remove(): void {
    try {
      execFileSync('umount', ['-l', this.dir], { stdio: 'ignore' });
    } finally {
      fs.rmSync(this.#work, { recursive: true, force: true });
    }
  }
}

/** Why these tests cannot run here; false if they can. */
export const cannotRecord: string | false = lacks('loop', 'fanotify');

/**
 * `class bits of name` for each class and name. Whether an open and the read after it come as one
 * event is the kernel's choice, so a test must not depend on it.
 */
export function shown(events: readonly FileEvent[]): string[] {
  const bits = new Map<string, { event: FileEvent; mask: number }>();
  for (const event of events) {
    const key = `${event.pidClass} ${event.name?.toString('latin1') ?? ''}`;
    bits.set(key, { event, mask: event.mask | (bits.get(key)?.mask ?? 0) });
  }
  return [...bits.values()].map(
    ({ event, mask }) =>
      `${event.pidClass} ${maskNames(mask).join('+')} of ${event.name?.toString('latin1') ?? '-'}`,
  );
}

/** How often a bit was counted for a name. */
export function countOf(events: readonly FileEvent[], name: string, bit: number): number {
  return events
    .filter((event) => event.name?.toString() === name && (event.mask & bit) !== 0)
    .reduce((sum, { count }) => sum + count, 0);
}

/** All bits seen for a name. */
export function bitsOf(events: readonly FileEvent[], name: string | Buffer): Set<string> {
  const wanted = Buffer.from(name as string);
  const bits = events
    .filter((event) => event.name !== null && wanted.equals(event.name))
    .reduce((mask, event) => mask | event.mask, 0);
  return new Set(maskNames(bits));
}
