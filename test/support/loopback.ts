/**
 * A root on an ext4 of its own, served by nfs-ganesha, recorded by the built daemon: what the
 * loopback tests share. Owns the order in which these begin and end.
 */
import { mkdirSync } from 'node:fs';
import { makeFileSystem, type MountedFileSystem } from '../index/file-systems.ts';
import { makeTree } from '../image/support.ts';
import { CLIENTS, Ganesha } from './ganesha.ts';
import type { NfsClient, NfsVersion } from './nfs-client.ts';
import { TraceSandbox, type Daemon } from './trace-sandbox.ts';

type DaemonOptions = readonly [Readonly<Record<string, unknown>>, readonly string[]];

export class Loopback {
  readonly disk: MountedFileSystem;
  readonly sandbox: TraceSandbox;
  readonly ganesha: Ganesha;
  /** Exported directories; the first holds {@link makeTree}'s tree, the others `init`-less ones. */
  readonly roots: readonly [string, ...string[]];
  daemon: Daemon;
  readonly #daemonOptions: DaemonOptions;

  private constructor(
    parts: Pick<Loopback, 'disk' | 'sandbox' | 'ganesha' | 'roots' | 'daemon'>,
    daemonOptions: DaemonOptions,
  ) {
    this.disk = parts.disk;
    this.sandbox = parts.sandbox;
    this.ganesha = parts.ganesha;
    this.roots = parts.roots;
    this.daemon = parts.daemon;
    this.#daemonOptions = daemonOptions;
  }

  /**
   * @param options.others names of more exported directories, empty
   * @param options.inside run the daemon in the server's network, where it sees who is connected
   */
  static async start(
    options: {
      readonly others?: readonly string[];
      readonly inside?: boolean;
      readonly config?: Readonly<Record<string, unknown>>;
      readonly prepare?: (sandbox: TraceSandbox) => void;
    } = {},
  ): Promise<Loopback> {
    const disk = makeFileSystem('ext4');
    const roots = ['root', ...(options.others ?? [])].map((name) => `${disk.path}/${name}`);
    const [first = ''] = roots;
    makeTree(first);
    for (const other of roots.slice(1)) mkdirSync(other);
    const ganesha = await Ganesha.start(roots);
    const sandbox = new TraceSandbox();
    options.prepare?.(sandbox);
    const daemonOptions: DaemonOptions = [
      options.config ?? {},
      options.inside === true ? ganesha.inside : [],
    ];
    const [config, prefix] = daemonOptions;
    const daemon = await sandbox.daemon(config, { prefix });
    return new Loopback(
      { disk, sandbox, ganesha, roots: [first, ...roots.slice(1)], daemon },
      daemonOptions,
    );
  }

  get root(): string {
    return this.roots[0];
  }

  /** Begins to record the first root, as the operator who knows its only client would. */
  async record(...options: readonly string[]): Promise<void> {
    const client = options.includes('--client') ? [] : ['--client', CLIENTS[0]];
    await this.sandbox.ok(['start', '--root', this.root, ...client, ...options]);
  }

  client(version: NfsVersion, directory = this.root): Promise<NfsClient> {
    return this.ganesha.client({ directory, version });
  }

  /** A daemon in the place of one that has ended. */
  async restart(): Promise<void> {
    const [config, prefix] = this.#daemonOptions;
    this.daemon = await this.sandbox.daemon(config, { prefix });
  }

  /** Takes in all that has happened until now. */
  async flush(): Promise<void> {
    await this.sandbox.ok(['mark', 'flushed']);
  }

  /** Ends the client's session; the next access opens a new one. */
  async nextSession(): Promise<void> {
    await this.sandbox.ok(['session', 'new', '--client', CLIENTS[0]]);
  }

  /** `path<TAB>operations` of each file of a session, as text. */
  async files(session: string): Promise<Map<string, string[]>> {
    const { files } = await this.sandbox.json<{
      files: { path: string; path_base64?: string; operations: string[] }[];
    }>(['files', session]);
    return new Map(files.map(({ path, operations }) => [path, operations]));
  }

  async stop(): Promise<void> {
    await this.sandbox.remove();
    await this.ganesha.stop();
    this.disk.remove();
  }
}
