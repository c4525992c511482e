/**
 * An NFS client without a machine: a network and a host name of its own (namespaces of the lab's
 * server), a cable to its bridge, and the kernel's NFS client in it. Owns those and its mounts.
 * To the server it is a machine: own address, own TCP connections, own NFSv4 owner name and boot
 * verifier, own caches. What it lacks is a boot: it does only what it is told.
 */
import { isIPv6 } from 'node:net';
import { LINK_LOCAL_ADDRESS, SERVER_ADDRESS, SERVER_ADDRESS_6, VICTIM_ROOT } from './server.ts';
import type { LabServer, RunOptions } from './server.ts';
import type { RunResult } from './server-agent.ts';

export type NfsVersion = '3' | '4.0' | '4.1' | '4.2';
export const NFS_VERSIONS: readonly NfsVersion[] = ['3', '4.0', '4.1', '4.2'];

export interface LabClientOptions {
  readonly server: LabServer;
  /** Unique in the server; its folder is below `/clients/NAME`. */
  readonly name: string;
  /** Any IPv4 or IPv6 address, link-local ones (`fe80::…`) too, that no other client has now. */
  readonly address: string;
  /** The NFSv4 owner name is made of it. Default: the name. */
  readonly hostname?: string;
}

export interface MountOptions {
  readonly version: NfsVersion;
  /** Exported folder, as the server's own path. Default: the root under test. */
  readonly root?: string;
  /** What the client asks for, if it is not {@link root} or, for NFSv4, that below the fsid=0 export. */
  readonly path?: string;
  /** Further ones, comma-separated, e.g. `rw,noac`. Default: `ro`. */
  readonly options?: string;
  /** Where it is to be seen, below the client's folder. Default: `root`. */
  readonly name?: string;
}

/** A word of a shell command. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

export class LabClient {
  readonly name: string;
  readonly address: string;
  readonly hostname: string;
  readonly #server: LabServer;
  /** Times that it was switched on; each has a namespace and a cable of its own. */
  #boots = 0;
  #on = false;
  #mounts: string[] = [];

  constructor({ server, name, address, hostname }: LabClientOptions) {
    this.#server = server;
    this.name = name;
    this.address = address;
    this.hostname = hostname ?? name;
  }

  /** The folder that everything it mounts is below; another one after each {@link powerOn}. */
  get folder(): string {
    return `/clients/${this.name}/${this.#boots}`;
  }

  get #namespace(): string {
    return `${this.name}.${this.#boots}`;
  }

  /** The server's end of its cable; 15 bytes are what Linux allows. */
  get #cable(): string {
    return `v${this.#namespace}`.slice(-15);
  }

  /** A new network namespace: for NFSv4 a machine that has just booted, with a new verifier. */
  async powerOn(): Promise<void> {
    if (this.#on) throw new Error(`${this.name} is on`);
    this.#boots++;
    this.#on = true;
    const { address } = this;
    const name = this.#namespace;
    const six = isIPv6(address);
    const local = /^fe80:/i.test(address);
    const mask = local ? 64 : six ? 128 : 32;
    const family = six ? '-6' : '-4';
    const inside = [
      'ip link set lo up',
      'ip link set eth0 up',
      // Nobody else has the address, and waiting for that to be found out would take a second.
      `ip addr add ${address}/${mask} dev eth0${six ? ' nodad' : ''}`,
      ...(local
        ? []
        : [
            `ip ${family} route add ${six ? SERVER_ADDRESS_6 : SERVER_ADDRESS} dev eth0 src ${address}`,
          ]),
    ];
    await this.#must(
      [
        'set -e',
        `mkdir -p /run/netns /run/utsns ${this.folder}`,
        `touch /run/netns/${name} /run/utsns/${name}`,
        // Held by the files, so no process has to stay.
        `unshare --net=/run/netns/${name} --uts=/run/utsns/${name} hostname ${quoted(this.hostname)}`,
        `ip link add ${this.#cable} type veth peer name eth0 netns ${name}`,
        `ip link set ${this.#cable} master br0 up`,
        ...(local ? [] : [`ip ${family} route replace ${address}/${mask} dev br0`]),
        // Not by `ip -n`: it takes a copy of all mounts along (iproute2 6.1), and may end up as the last
        // one to let go of a root that another client lost power with, which takes minutes.
        `nsenter --net=/run/netns/${name} sh -ec ${quoted(inside.join('; '))}`,
      ].join('\n'),
    );
  }

  /** A power cut: the cable is gone and nothing is said to the server. */
  async powerOff(): Promise<void> {
    if (!this.#on) return;
    this.#on = false;
    // In the background, since the kernel says goodbye to a server that it cannot reach.
    const leave = this.#mounts.map((folder) => `setsid umount -f -l ${folder} >/dev/null 2>&1 &`);
    await this.#must([`ip link del ${this.#cable}`, ...leave].join('\n'));
    this.#mounts = [];
  }

  /** {@link powerOff}, then {@link powerOn} at the same address; nothing is mounted afterwards. */
  async reset(): Promise<void> {
    await this.powerOff();
    await this.powerOn();
  }

  /** Lets so many kilobits a second through to the client; null: all. Until it is switched off. */
  async limit(kbits: number | null): Promise<void> {
    const change = kbits === null ? 'del' : 'replace';
    const how = kbits === null ? '' : ` netem rate ${kbits}kbit limit 10000`;
    await this.#must(`tc qdisc ${change} dev ${this.#cable} root${how} || ${kbits === null}`);
  }

  /** Takes the cable out; the machine stays up. */
  async unplug(): Promise<void> {
    await this.#must(`ip link set ${this.#cable} down`);
  }

  async plugIn(): Promise<void> {
    await this.#must(`ip link set ${this.#cable} up`);
  }

  /** Mounts by the kernel alone, so with that very version or not at all. Gives the folder. */
  async mount(mount: MountOptions): Promise<string> {
    const { version, root = VICTIM_ROOT, options = 'ro', name = 'root' } = mount;
    const six = isIPv6(this.address);
    const local = /^fe80:/i.test(this.address);
    const server = local ? `${LINK_LOCAL_ADDRESS}%eth0` : six ? SERVER_ADDRESS_6 : SERVER_ADDRESS;
    const asked = mount.path ?? (version === '3' ? root : root.replace(/^\/nfsroots(?=\/|$)/, ''));
    const words = [
      options,
      `vers=${version}`,
      `proto=${six ? 'tcp6' : 'tcp'}`,
      `addr=${server}`,
      ...(version === '3' ? ['nolock'] : [`clientaddr=${this.address}`]),
    ];
    const folder = `${this.folder}/${name}`;
    const source = `${six ? `[${server}]` : server}:${asked === '' ? '/' : asked}`;
    await this.#must(
      `mkdir -p ${folder} && ${this.#enter} mount -i -t nfs -o ${quoted(words.join(','))} ${quoted(source)} ${folder}`,
    );
    this.#mounts.push(folder);
    return folder;
  }

  /** A clean unmount of {@link MountOptions.name}. */
  async unmount(name = 'root'): Promise<void> {
    const folder = `${this.folder}/${name}`;
    await this.#must(`umount ${folder}`);
    this.#mounts = this.#mounts.filter((mounted) => mounted !== folder);
  }

  /** Reads the whole of each file; paths are relative to the mounted root. */
  async read(...paths: readonly string[]): Promise<void> {
    await this.must(`cat -- ${words(paths)} >/dev/null`);
  }

  /** Reads afresh what may be in its cache: direct I/O, `times` times. */
  async readDirect(path: string, times = 1): Promise<void> {
    const once = `dd if=${quoted(path)} of=/dev/null bs=64k iflag=direct status=none`;
    await this.must(`for i in $(seq ${times}); do ${once} || exit; done`);
  }

  /** Targets of symbolic links. */
  async readlink(...paths: readonly string[]): Promise<string[]> {
    return (await this.must(`readlink -z -- ${words(paths)}`)).split('\0').slice(0, -1);
  }

  async stat(...paths: readonly string[]): Promise<void> {
    await this.must(`stat -- ${words(paths)} >/dev/null`);
  }

  /** Names in a folder, in the server's order; looks at none of them. */
  async list(path: string): Promise<string[]> {
    const text = await this.must(`find ${quoted(path)} -mindepth 1 -maxdepth 1 -printf '%f\\0'`);
    return text.split('\0').slice(0, -1);
  }

  /** Runs a shell command in its namespaces, in the root that it mounted (else in its folder). */
  async run(shell: string, options: RunOptions = {}): Promise<RunResult> {
    const folder = this.#mounts.at(-1) ?? this.folder;
    const inside = `cd ${folder} && ${shell}`;
    return this.#server.run(`${this.#enter} sh -c ${quoted(inside)}`, options);
  }

  /** Standard output of a {@link run} that must end with status 0. */
  async must(shell: string, options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(shell, options);
    if (code !== 0) {
      throw new Error(`${this.name}: "${shell}" ended with ${code}\n${stdout}${stderr}`);
    }
    return stdout;
  }

  get #enter(): string {
    return `nsenter --net=/run/netns/${this.#namespace} --uts=/run/utsns/${this.#namespace}`;
  }

  async #must(shell: string): Promise<string> {
    return this.#server.must(shell, { timeoutMs: 120_000 });
  }
}

function words(paths: readonly string[]): string {
  return paths.map(quoted).join(' ');
}
