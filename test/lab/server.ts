/**
 * The kernel NFS server in a virtual machine: the machine's own root (read-only, with a writable
 * memory over it), so that Node and the built checkout just work inside, and the roots on throw-away
 * copies of their disks. Owns that QEMU, its private folder, the shared folder and the agent.
 * Must not know what is tested.
 */
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ensureArtifacts, type Artifacts } from './artifacts.ts';
import type { LabKernel } from './kernels.ts';
import { Machine, qemuValue } from './machine.ts';
import { privateFolder } from './private-folder.ts';
import type { LabRoot } from './roots/lab-root.ts';
import { SARGE } from './roots/sarge.ts';
import { ServerAgent, type RunResult } from './server-agent.ts';

export interface LabServerOptions {
  /** The suite whose kernel serves, and boots the victims. Default: bookworm. */
  readonly kernel?: LabKernel;
  /** Checkout that is seen in the guest, at the same path. Default: the one of this file. */
  readonly repository?: string;
  /**
   * Whether the checkout is read afresh at every access, so that what is rebuilt outside is seen at
   * once. Without it the guest keeps what it has read. Default: false.
   */
  readonly live?: boolean;
  readonly memoryMb?: number;
  /** What it serves; the first has to be there for {@link VICTIM_ROOT}. Default: only that one. */
  readonly roots?: readonly LabRoot[];
  /** Processors. Default: 2. */
  readonly cpus?: number;
  /** Further QEMU arguments, say another processor or clock; the last of a kind counts. */
  readonly hardware?: readonly string[];
  /** How many victims can be attached; each has its port on the server's bridge. */
  readonly ports?: number;
  /** Hears of long steps. Default: nobody. */
  readonly say?: (text: string) => void;
}

export interface RunOptions {
  /** Default: 60,000. When it is over the command is killed and the call throws. */
  readonly timeoutMs?: number;
  readonly input?: Buffer;
}

/** The folder in the guest that is {@link LabServer.share} outside; writable from both. */
export const GUEST_SHARE = '/lab';
export const SERVER_ADDRESS = '10.77.0.1';
export const SERVER_ADDRESS_6 = 'fd77::1';
/** On the same bridge; a client names its own card as the zone. */
export const LINK_LOCAL_ADDRESS = 'fe80::77:1';
/** Where a root is: NFSv3 clients mount this path. */
export function rootPath({ name }: Pick<LabRoot, 'name'>): string {
  return `/nfsroots/${name}`;
}

/** The root under test, of the usual victim. */
export const VICTIM_ROOT = rootPath(SARGE);

/** It takes 11 s on two idle cores. */
const BOOT_TIMEOUT_MS = 240_000;

export class LabServer {
  readonly #options: LabServerOptions;
  #artifacts: Artifacts | undefined;
  #folder: string | undefined;
  #machine: Machine | undefined;
  #agent: ServerAgent | undefined;
  #bootMs = 0;

  constructor(options: LabServerOptions = {}) {
    this.#options = options;
  }

  get kernel(): LabKernel {
    return this.#options.kernel ?? 'bookworm';
  }

  get #roots(): readonly LabRoot[] {
    return this.#options.roots ?? [SARGE];
  }

  /** What the lab is made of; known once started. */
  get artifacts(): Artifacts {
    return this.#known(this.#artifacts);
  }

  /** Private folder of this server: consoles, sockets. Removed by {@link stop}. */
  get folder(): string {
    return this.#known(this.#folder);
  }

  /** Folder outside that the guest sees as {@link GUEST_SHARE}. */
  get share(): string {
    return path.join(this.folder, 'share');
  }

  get machine(): Machine {
    return this.#known(this.#machine);
  }

  /** Milliseconds from power-on to the first answer of the agent. */
  get bootMs(): number {
    return this.#bootMs;
  }

  #known<T>(value: T | undefined): T {
    if (value === undefined) throw new Error('the lab server is not started');
    return value;
  }

  /** The Unix socket that the victim of port 0, 1, ... connects its network card to. */
  portSocket(port: number): string {
    return path.join(this.folder, `port${port}.sock`);
  }

  /** Builds what is missing, boots, and returns when NFS is served and commands are answered. */
  async start(): Promise<void> {
    const { say = () => undefined } = this.#options;
    this.#artifacts = await ensureArtifacts(this.kernel, say, this.#roots);
    this.#folder = await privateFolder();
    try {
      await this.#boot(this.#artifacts);
    } catch (cause) {
      await this.stop();
      throw cause;
    }
  }

  async #boot(artifacts: Artifacts): Promise<void> {
    const repository = path.resolve(
      this.#options.repository ?? path.join(import.meta.dirname, '../..'),
    );
    await this.#fillShare(artifacts, repository);
    const started = Date.now();
    const machine = new Machine({
      name: 'server',
      kernel: artifacts.kernel,
      initrd: artifacts.serverInitramfs,
      append: 'quiet',
      memoryMb: this.#options.memoryMb ?? 1536,
      cpus: this.#options.cpus ?? 2,
      devices: [...this.#devices(artifacts, repository), ...(this.#options.hardware ?? [])],
    });
    this.#machine = machine;
    machine.start();
    const [said] = await machine.waitFor(/lab: (server up|failed).*\n/, BOOT_TIMEOUT_MS);
    if (said.includes('failed')) throw machine.failure('its set-up failed');
    const agent = new ServerAgent(path.join(this.folder, 'agent.sock'), (what) =>
      machine.failure(what),
    );
    this.#agent = agent;
    await agent.start();
    await this.run('exportfs -v', { timeoutMs: BOOT_TIMEOUT_MS });
    this.#bootMs = Date.now() - started;
  }

  async #fillShare(artifacts: Artifacts, repository: string): Promise<void> {
    await mkdir(this.share);
    const settings = {
      LAB_REPOSITORY: repository,
      LAB_NODE_FOLDER: path.dirname(process.execPath),
      LAB_SERVER_ADDRESS: SERVER_ADDRESS,
      LAB_SERVER_ADDRESSES_6: `${SERVER_ADDRESS_6} ${LINK_LOCAL_ADDRESS}`,
      LAB_ROOTS: this.#roots.map(({ name }) => name).join(' '),
      LAB_LIVE: this.#options.live === true ? 'yes' : '',
    };
    const lines = Object.entries(settings).map(
      ([key, value]) => `${key}='${value.replaceAll("'", `'\\''`)}'\n`,
    );
    await writeFile(path.join(this.share, 'lab.env'), lines.join(''));
    await writeFile(path.join(this.share, 'package.json'), '{"type":"module"}\n');
    for (const name of ['server-main.sh', 'agent.ts']) {
      await cp(path.join(import.meta.dirname, 'guest', name), path.join(this.share, name));
    }
  }

  #devices(artifacts: Artifacts, repository: string): string[] {
    const share = (tag: string, folder: string, mode: string): string[] => [
      '-virtfs',
      `local,path=${qemuValue(folder)},mount_tag=${tag},security_model=none,multidevs=remap${mode}`,
    ];
    const devices = [
      ...share('host', '/', ',readonly=on'),
      ...share('tools', artifacts.serverTools, ',readonly=on'),
      ...share('repository', repository, ',readonly=on'),
      ...share('share', this.share, ''),
      ...artifacts.rootDisks.flatMap((disk, index) => [
        '-drive',
        `if=none,id=root${index},format=raw,snapshot=on,file=${qemuValue(disk)}`,
        ...['-device', `virtio-blk-pci,drive=root${index}`],
      ]),
      ...['-device', 'virtio-serial-pci'],
      ...[
        '-chardev',
        `socket,id=agent,server=on,wait=off,path=${qemuValue(this.folder)}/agent.sock`,
      ],
      ...['-device', 'virtserialport,chardev=agent,name=lab.agent'],
    ];
    for (let port = 0; port < (this.#options.ports ?? 2); port++) {
      const socket = this.portSocket(port);
      devices.push(
        ...[
          '-netdev',
          `stream,id=port${port},server=on,addr.type=unix,addr.path=${qemuValue(socket)}`,
        ],
        ...['-device', `virtio-net-pci,netdev=port${port},mac=52:54:00:77:01:0${port},romfile=`],
      );
    }
    return devices;
  }

  /** Runs a shell command as root in the guest. A status other than 0 is a result, not an error. */
  async run(shell: string, options: RunOptions = {}): Promise<RunResult> {
    return this.#known(this.#agent).run(shell, options.timeoutMs ?? 60_000, options.input);
  }

  /** Standard output of a command that must end with status 0. */
  async must(shell: string, options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(shell, options);
    if (code !== 0) throw this.machine.failure(`"${shell}" ended with ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Small files; large ones go through {@link share}. */
  async readFile(file: string): Promise<Buffer> {
    return this.#known(this.#agent).readFile(file);
  }

  async writeFile(file: string, content: Buffer | string): Promise<void> {
    await this.#known(this.#agent).writeFile(file, Buffer.from(content));
  }

  /** Ends the machine (all that it wrote is in memory or in {@link share}) and its folder. */
  async stop(): Promise<void> {
    this.#agent?.stop();
    await this.#machine?.kill();
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
    this.#agent = undefined;
    this.#machine = undefined;
    this.#folder = undefined;
  }
}
