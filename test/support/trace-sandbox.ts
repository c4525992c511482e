/**
 * The built `trace` as a person has it: a process with arguments, in a place of its own (state
 * folder, socket, scratch files). Owns that place and ends the daemon that was started in it.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const REPOSITORY = join(import.meta.dirname, '../..');
const BIN = join(REPOSITORY, 'dist/cli/bin.cjs');

/** A command that hangs is a failure, with what it had said until then. */
const PATIENCE_MS = 60_000;
const POLL_MS = 20;

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  /** stdout as text. */
  readonly text: string;
  /** stdout as JSON; throws if it is none. */
  readonly json: unknown;
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** A command that runs the rest of the line: `nsenter`, `setpriv`, ... */
  readonly prefix?: readonly string[];
}

/** A started daemon that is this process's child. */
export interface Daemon {
  readonly child: ChildProcess;
  /** What it has said: its log. */
  readonly log: () => string;
  /** Exit code after SIGTERM. */
  readonly stop: () => Promise<number | null>;
  readonly kill: () => Promise<void>;
}

export class TraceSandbox {
  readonly folder: string;
  readonly stateDir: string;
  readonly socket: string;
  readonly #children = new Set<ChildProcess>();

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'trace-test-'));
    // Other users' commands must get to their files in it.
    chmodSync(this.folder, 0o755);
    this.stateDir = join(this.folder, 'state');
    this.socket = join(this.folder, 'control.sock');
    assert.ok(existsSync(BIN), 'trace is not built: run scripts/build');
  }

  get database(): string {
    return join(this.stateDir, 'trace.db');
  }

  /** A path in the place. */
  at(name: string): string {
    return join(this.folder, name);
  }

  env(): NodeJS.ProcessEnv {
    const { PATH, HOME } = process.env;
    return {
      PATH,
      HOME,
      NFSROOT_TRACE_STATE_DIR: this.stateDir,
      NFSROOT_TRACE_SOCKET: this.socket,
    };
  }

  /** The whole command line of `trace ARGS`. */
  command(args: readonly string[], prefix: readonly string[] = []): [string, ...string[]] {
    const [first, ...others] = prefix;
    const own = [BIN, ...args];
    return first === undefined
      ? [process.execPath, ...own]
      : [first, ...others, process.execPath, ...own];
  }

  /** Of an image that it made, other programs must see the same. */
  async run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    const ran = await this.execute(this.command(args, options.prefix), options);
    if (args[0] === 'export' && ran.code === 0) {
      // Most tests make none, and need no reader.
      const { checkExport } = await import('./check-export.ts');
      const { folder } = this;
      await checkExport({
        args,
        folder,
        stdout: ran.stdout,
        elsewhere: options.prefix !== undefined,
      });
    }
    return ran;
  }

  /** A shell script in a folder, with every program of ours on the PATH; it must succeed. */
  async script(folder: string, text: string, options: RunOptions = {}): Promise<Ran> {
    const ran = await this.tryScript(folder, text, options);
    assert.equal(ran.code, 0, `${text}: ${ran.stderr}${ran.text}`);
    const { checkImagesIn } = await import('./check-export.ts');
    await checkImagesIn(folder);
    return ran;
  }

  /** The same, whatever comes of it. */
  tryScript(folder: string, text: string, { env, prefix = [] }: RunOptions = {}): Promise<Ran> {
    const [first, ...others] = [...prefix, 'sh'];
    const line: [string, ...string[]] = [
      first,
      ...others,
      '-ec',
      'cd "$0"; eval "$1"',
      folder,
      text,
    ];
    const path = `${join(REPOSITORY, 'scripts/bin')}:${process.env['PATH'] ?? ''}`;
    return this.execute(line, { env: { PATH: path, ...env } });
  }

  /** Any command in the place's environment. */
  async execute(
    [program, ...args]: readonly [string, ...string[]],
    options: RunOptions = {},
  ): Promise<Ran> {
    const child = this.#spawn([program, ...args], options);
    const { out, err } = collect(child);
    const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    clearTimeout(timer);
    const stdout = Buffer.concat(out);
    return {
      code,
      signal,
      stdout,
      stderr: Buffer.concat(err).toString(),
      text: stdout.toString(),
      get json(): unknown {
        return JSON.parse(stdout.toString()) as unknown;
      },
    };
  }

  /** Runs it and insists on success. */
  async ok(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    const ran = await this.run(args, options);
    assert.equal(ran.code, 0, `trace ${args.join(' ')}: ${ran.stderr}${ran.text}`);
    return ran;
  }

  /** The JSON of a successful command. */
  async json<T>(args: readonly string[], options: RunOptions = {}): Promise<T> {
    return (await this.ok([...args, '--json'], options)).json as T;
  }

  /** Runs it and insists on a failure told the usual way; what it said, without the labels. */
  async fails(
    args: readonly string[],
    expected: { readonly code: number; readonly message: RegExp; readonly hint?: RegExp },
    options: RunOptions = {},
  ): Promise<Ran> {
    const ran = await this.run(args, options);
    const lines = ran.stderr.trimEnd().split('\n');
    const error = lines.findLast((line) => line.startsWith('error: ')) ?? '';
    assert.match(error, expected.message, ran.stderr);
    if (expected.hint !== undefined) assert.match(lines.at(-1) ?? '', expected.hint);
    assert.match(lines.at(-1) ?? '', /^hint: ./, ran.stderr);
    assert.equal(ran.code, expected.code, ran.stderr);
    return ran;
  }

  /** A daemon in the foreground, listening when this returns. */
  async daemon(
    config: Readonly<Record<string, unknown>> = {},
    options: RunOptions = {},
  ): Promise<Daemon> {
    const file = this.at('config.json');
    writeFileSync(file, JSON.stringify({ flushMs: 100, ...config }));
    const child = this.#spawn(
      this.command(
        ['daemon', '--config', file],
        // It must end with this process, however that ends.
        ['setpriv', '--pdeathsig', 'KILL', ...(options.prefix ?? [])],
      ),
      options,
    );
    const { err } = collect(child);
    const log = (): string => Buffer.concat(err).toString();
    const ended = once(child, 'close');
    for (const end = Date.now() + PATIENCE_MS; !log().includes('"msg":"recording"');) {
      assert.ok(child.exitCode === null && child.signalCode === null, `no daemon: ${log()}`);
      assert.ok(Date.now() < end, `the daemon does not begin: ${log()}`);
      await delay(POLL_MS);
    }
    const end = async (signal: NodeJS.Signals): Promise<number | null> => {
      child.kill(signal);
      await ended;
      return child.exitCode;
    };
    return {
      child,
      log,
      stop: () => end('SIGTERM'),
      kill: async () => {
        await end('SIGKILL');
      },
    };
  }

  /** The pid of the daemon that listens in this place; null if none does. */
  async daemonPid(): Promise<number | null> {
    const { code, text } = await this.run(['status', '--json']);
    return code === 0 ? (JSON.parse(text) as { pid: number }).pid : null;
  }

  /** Ends the daemon, then removes the place. */
  async remove(): Promise<void> {
    const pid = existsSync(this.socket) ? await this.daemonPid() : null;
    if (pid !== null) {
      process.kill(pid, 'SIGTERM');
      await gone(pid);
    }
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }

  /**
   * Runs the rest of a line as user and group `nobody`, with the repository and Node bound to
   * where nobody may read them, wherever they are. The command line stays the same.
   * @param capability the one that it keeps
   */
  asNobody(capability?: string): string[] {
    const here = this.at('bound');
    const kept =
      capability === undefined
        ? ''
        : ` --inh-caps=-all,+${capability} --ambient-caps=-all,+${capability}`;
    const script = [
      `mount --bind "$1" '${here}/repository'`,
      `mount --bind "$2" '${here}/node'`,
      'node=$3; bin=$4; shift 4',
      // Behind the node and the script that the caller wrote.
      `exec setpriv --reuid=65534 --regid=65534 --clear-groups${kept} '${here}'/node/"\${node##*/}" '${here}/repository'"\${bin#${REPOSITORY}}" "$@"`,
    ].join(' && ');
    for (const name of ['repository', 'node']) mkdirSync(join(here, name), { recursive: true });
    return ['unshare', '--mount', 'sh', '-c', script, 'sh', REPOSITORY, dirname(process.execPath)];
  }

  #spawn([program, ...args]: readonly [string, ...string[]], options: RunOptions): ChildProcess {
    const child = spawn(program, args, {
      cwd: this.folder,
      env: { ...this.env(), ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    return child;
  }
}

function collect(child: ChildProcess): { readonly out: Buffer[]; readonly err: Buffer[] } {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on('data', (part: Buffer) => out.push(part));
  child.stderr?.on('data', (part: Buffer) => err.push(part));
  return { out, err };
}

/** Waits for the end of a process that is not our child. */
export async function gone(pid: number): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; isRunning(pid);) {
    assert.ok(Date.now() < end, `process ${pid} does not end`);
    await delay(POLL_MS);
  }
}

function isRunning(pid: number): boolean {
  try {
    // A zombie has ended; who reaps it is not our matter.
    return !/^State:\s*[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}
