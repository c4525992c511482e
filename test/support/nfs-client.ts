/**
 * An NFS client in user space that stays connected and does one thing after the other. The work is
 * nfs_client.py's, with libnfs. Owns the process and its protocol: a line of JSON each way, bytes
 * as base64.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

export type NfsVersion = 3 | 4;

export interface NfsClientOptions {
  /** A command that runs the rest of the line. */
  readonly prefix: readonly [string, ...string[]];
  readonly server: string;
  readonly ports: { readonly nfs: number; readonly mount: number };
  readonly directory: string;
  readonly version: NfsVersion;
}

type Process = ChildProcessByStdio<Writable, Readable, null>;
type Answer = { readonly ok: readonly string[] } | { readonly error: string };

export class NfsClient {
  readonly #child: Process;
  readonly #lines: AsyncIterableIterator<string>;

  private constructor(child: Process, lines: Interface) {
    this.#child = child;
    this.#lines = lines[Symbol.asyncIterator]();
  }

  static async connect(options: NfsClientOptions): Promise<NfsClient> {
    const { prefix, server, ports, directory, version } = options;
    const [program, ...args] = [
      ...prefix,
      // Debian's own, which is there wherever the addon was built.
      '/usr/bin/python3',
      join(import.meta.dirname, 'nfs_client.py'),
      String(version),
      server,
      String(ports.nfs),
      String(ports.mount),
      directory,
    ];
    // It must end with this process, whatever it waits for then.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const client = new NfsClient(child, createInterface(child.stdout));
    try {
      await client.#answer();
    } catch (error) {
      await client.close();
      throw error;
    }
    return client;
  }

  /** The whole content of a file; symlinks are followed. */
  async read(path: string | Buffer): Promise<Buffer> {
    const [content = Buffer.alloc(0)] = await this.#ask('read', path);
    return content;
  }

  /** Opens and closes it, without a read. */
  async open(path: string | Buffer): Promise<void> {
    await this.#ask('open', path);
  }

  /** Names in a directory, without `.` and `..`. */
  readdir(path: string | Buffer): Promise<Buffer[]> {
    return this.#ask('readdir', path);
  }

  async readlink(path: string | Buffer): Promise<Buffer> {
    const [target = Buffer.alloc(0)] = await this.#ask('readlink', path);
    return target;
  }

  /** Makes a file with this content. */
  async write(path: string | Buffer, content: string): Promise<void> {
    await this.#ask('write', path, content);
  }

  /** Gives an object, not what a link leads to, this owner and group. */
  async chown(path: string | Buffer, owner: number): Promise<void> {
    await this.#ask('chown', path, String(owner));
  }

  async rename(path: string | Buffer, to: string): Promise<void> {
    await this.#ask('rename', path, to);
  }

  /** Ends the connection. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await ended;
  }

  async #ask(what: string, ...args: (string | Buffer)[]): Promise<Buffer[]> {
    const bytes = args.map((arg) => Buffer.from(arg as string).toString('base64'));
    this.#child.stdin.write(`${JSON.stringify([what, ...bytes])}\n`);
    return this.#answer();
  }

  async #answer(): Promise<Buffer[]> {
    const next = await this.#lines.next();
    assert.ok(next.done !== true, 'the NFS client ended');
    const answer = JSON.parse(next.value) as Answer;
    if ('error' in answer) throw new Error(`NFS client: ${answer.error}`);
    return answer.ok.map((text) => Buffer.from(text, 'base64'));
  }
}
