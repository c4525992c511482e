/**
 * nfs-ganesha serving directories to clients in a network of its own: it, its rpcbind and what
 * they write live in private network, mount and process namespaces and end together.
 * Owns those; clients get in by `nsenter`.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { NfsClient, type NfsVersion } from './nfs-client.ts';

/** What a test that uses it needs of the machine. */
export const GANESHA_NEEDS = [
  'root',
  'loop',
  'fanotify',
  'handles',
  'mount',
  'netns',
  'rpcbind',
  'ganesha',
  'libnfs',
] as const;

/** The server has both addresses; a client that connects to one has it as its own, too. */
export const CLIENTS = ['127.0.0.1', '10.0.0.7'] as const;
export type ClientAddress = (typeof CLIENTS)[number];

const PATIENCE_MS = 30_000;
const POLL_MS = 20;
const NFS_PORT = 2049;
const MOUNT_PORT = 20_491;
const LISTEN = '0A';

export class Ganesha {
  readonly #folder: string;
  readonly #child: ChildProcess;
  readonly #clients: NfsClient[] = [];

  private constructor(folder: string, child: ChildProcess) {
    this.#folder = folder;
    this.#child = child;
  }

  /** Serves each directory at its own path, to v3 and v4 clients. Answers when it listens. */
  static async start(directories: readonly string[]): Promise<Ganesha> {
    const folder = mkdtempSync(join(tmpdir(), 'ganesha-test-'));
    writeFileSync(join(folder, 'conf'), configuration(directories));
    const script = `
      ip link set lo up && ip addr add ${CLIENTS[1]}/32 dev lo &&
      mount -t tmpfs none /run && mkdir -p /run/rpcbind /run/ganesha &&
      mount -t tmpfs none /var/lib/nfs && mkdir -p /var/lib/nfs/ganesha || exit
      # It finds file systems in /etc/mtab, which a minimal Debian lacks.
      if [ ! -e /etc/mtab ]; then
        cp -a /etc /run/etc && ln -sf /proc/self/mounts /run/etc/mtab && mount --bind /run/etc /etc || exit
      fi
      rpcbind -w -f &
      until [ -S /run/rpcbind.sock ]; do sleep 0.02; done
      exec ganesha.nfsd -F -f '${folder}/conf' -L '${folder}/log' -p /run/ganesha/pid`;
    const apart = ['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child'];
    // It must end with this process, however that ends.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...apart, 'sh', '-c', script], {
      stdio: ['ignore', 'ignore', 'ignore'],
    });
    const server = new Ganesha(folder, child);
    try {
      await server.#listens();
      return server;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  /** The prefix of a command that is to run in the server's network. */
  get inside(): [string, ...string[]] {
    return ['nsenter', `--net=/proc/${this.#child.pid ?? 0}/ns/net`];
  }

  /** A client with `directory` mounted; it stays connected until it is closed. */
  async client(options: {
    readonly directory: string;
    readonly version: NfsVersion;
    readonly address?: ClientAddress;
  }): Promise<NfsClient> {
    const client = await NfsClient.connect({
      prefix: this.inside,
      server: options.address ?? CLIENTS[0],
      ports: { nfs: NFS_PORT, mount: MOUNT_PORT },
      directory: options.directory,
      version: options.version,
    });
    this.#clients.push(client);
    return client;
  }

  /** Closes every client that is still there. */
  async disconnect(): Promise<void> {
    for (const client of this.#clients.splice(0)) await client.close();
  }

  async stop(): Promise<void> {
    await this.disconnect();
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'close');
      this.#child.kill('SIGKILL');
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #listens(): Promise<void> {
    for (const end = Date.now() + PATIENCE_MS; !this.#isListening();) {
      assert.equal(this.#child.exitCode, null, `ganesha ended: ${this.#log()}`);
      assert.ok(Date.now() < end, `ganesha does not listen: ${this.#log()}`);
      await delay(POLL_MS);
    }
  }

  #isListening(): boolean {
    const network = `/proc/${this.#child.pid ?? 0}/net`;
    const table = ['tcp', 'tcp6'].map((name) => readIfThere(`${network}/${name}`)).join('');
    return [NFS_PORT, MOUNT_PORT].every((port) => {
      const hex = port.toString(16).toUpperCase().padStart(4, '0');
      return new RegExp(`:${hex} [0-9A-F]+:0000 ${LISTEN} `).test(table);
    });
  }

  #log(): string {
    return readIfThere(join(this.#folder, 'log')).split('\n').slice(-20).join('\n');
  }
}

function configuration(directories: readonly string[]): string {
  const exported = directories.map(
    (path, index) => `
EXPORT {
  Export_Id = ${index + 1}; Path = ${path}; Pseudo = ${path};
  Access_Type = RW; Squash = No_Root_Squash; SecType = sys; FSAL { Name = VFS; }
}`,
  );
  return `
NFS_CORE_PARAM {
  NFS_Port = ${NFS_PORT}; MNT_Port = ${MOUNT_PORT}; Protocols = 3, 4;
  Enable_NLM = false; Enable_RQUOTA = false;
}
NFSv4 { Graceless = true; }
LOG { Default_Log_Level = EVENT; }
${exported.join('\n')}
`;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
