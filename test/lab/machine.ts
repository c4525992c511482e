/**
 * One QEMU. Owns the process and its console log, which stays in the cache folder for a day.
 * Must not know what boots in it. Emulation is in software: /dev/kvm may exist and still refuse. In
 * one thread: with several, code that a kernel patches while another processor runs it is an oops.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import {
  createWriteStream,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  type WriteStream,
} from 'node:fs';
import path from 'node:path';
import { cacheFolder } from './cache.ts';

export interface MachineOptions {
  /** For messages and the log's name. */
  readonly name: string;
  readonly kernel: string;
  /** None for a kernel that has one built in. */
  readonly initrd?: string;
  /** Kernel command line, besides the console. */
  readonly append: string;
  readonly memoryMb: number;
  readonly cpus: number;
  /** Further QEMU arguments: disks, shares, networks. */
  readonly devices: readonly string[];
  /** Told each line of the serial console. */
  readonly onLine?: (line: string) => void;
}

const TAIL_LINES = 50;
const LOG_KEEP_MS = 24 * 3600 * 1000;
/** Enough of the console for any test to search in. */
const LOG_LIMIT = 4 * 1024 * 1024;

/** A value within a comma-separated QEMU option. */
export function qemuValue(text: string): string {
  return text.replaceAll(',', ',,');
}

export class Machine {
  readonly #options: MachineOptions;
  #child: ChildProcess | undefined;
  #file: WriteStream | undefined;
  #log = '';
  #unfinished = '';
  #stderr = '';
  #ended = 'not started';
  #wake = new Set<() => void>();

  constructor(options: MachineOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  /** Everything that the serial console has said, carriage returns removed. */
  get log(): string {
    return this.#log;
  }

  /** The console as it was; two machines of one name in one process share it. */
  get logFile(): string {
    return path.join(logFolder(), `${process.pid}-${this.#options.name}.log`);
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  start(): void {
    const options = this.#options;
    removeOldLogs();
    this.#file = createWriteStream(this.logFile, { flags: 'a' });
    // pdeathsig: no QEMU outlives a test that was killed.
    const child = spawn(
      'setpriv',
      [
        ...['--pdeathsig', 'KILL', 'qemu-system-x86_64', '-nodefaults', '-no-user-config'],
        ...['-accel', 'tcg,thread=single', '-cpu', 'max', '-display', 'none'],
        ...['-m', String(options.memoryMb), '-smp', String(options.cpus)],
        ...['-kernel', options.kernel],
        ...(options.initrd === undefined ? [] : ['-initrd', options.initrd]),
        // Emulated on a busy machine, the timer may fail the kernel's test of it, which would panic.
        ...[
          '-append',
          `console=ttyS0 panic=0 no_timer_check init_on_alloc=0 mitigations=off ${options.append}`,
        ],
        ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
        ...['-object', 'rng-random,id=rng,filename=/dev/urandom'],
        ...['-device', 'virtio-rng-pci,rng=rng'],
        ...options.devices,
      ],
      { stdio: ['pipe', 'pipe', 'pipe'] },
    );
    this.#child = child;
    this.#ended = '';
    child.stdin.on('error', () => undefined);
    child.stdout.on('data', (chunk: Buffer) => this.#hear(chunk.toString('latin1')));
    child.stderr.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString('utf8')));
    child.once('error', (cause) => this.#end(`could not start: ${cause.message}`));
    child.once('close', (code, signal) => this.#end(`ended with ${String(code ?? signal)}`));
  }

  #hear(text: string): void {
    this.#file?.write(text, 'latin1');
    const clean = text.replaceAll('\r', '');
    this.#log = (this.#log + clean).slice(-LOG_LIMIT);
    const lines = (this.#unfinished + clean).split('\n');
    this.#unfinished = lines.pop() ?? '';
    for (const line of lines) this.#options.onLine?.(line);
    this.#rouse();
  }

  #end(how: string): void {
    this.#ended = how;
    this.#child = undefined;
    this.#file?.end();
    this.#rouse();
  }

  #rouse(): void {
    for (const wake of [...this.#wake]) wake();
  }

  /** Resolves with the match once the console, from offset `from` of the log, matches. */
  async waitFor(pattern: RegExp, timeoutMs: number, from = 0): Promise<RegExpExecArray> {
    return this.#until(`"${pattern.source}" on its console`, timeoutMs, () => {
      const text = this.#log.slice(from);
      if (/Kernel panic - /.test(text)) throw this.failure('its kernel panicked');
      return pattern.exec(text);
    });
  }

  /** Resolves once QEMU has ended, by itself or by {@link kill}. */
  async waitForEnd(timeoutMs: number): Promise<void> {
    if (this.#child === undefined) return;
    await this.#until('its end', timeoutMs, () => (this.#child === undefined ? true : null));
  }

  #until<T>(what: string, timeoutMs: number, look: () => T | null): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#wake.delete(check);
      };
      const check = (): void => {
        let found: T | null;
        try {
          found = look();
        } catch (error) {
          finish();
          reject(error instanceof Error ? error : new Error(String(error)));
          return;
        }
        if (found !== null) {
          finish();
          resolve(found);
        } else if (this.#child === undefined) {
          finish();
          reject(this.failure(`waited for ${what}`));
        }
      };
      const timer = setTimeout(() => {
        finish();
        reject(this.failure(`waited ${timeoutMs / 1000} s for ${what}`));
      }, timeoutMs);
      this.#wake.add(check);
      check();
    });
  }

  /** An error that carries the machine's state and the last lines of its console. */
  failure(what: string): Error {
    const tail = this.#log.trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
    const state = this.#child === undefined ? `QEMU ${this.#ended} ${this.#stderr}` : 'QEMU runs';
    return new Error(
      `${this.name}: ${what}; ${state.trim()}; whole console: ${this.logFile}\n` +
        `--- last ${TAIL_LINES} lines of ${this.name}\n${tail}\n---`,
    );
  }

  /** Ends QEMU at once, as a power cut does, and waits for it. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.waitForEnd(10_000);
  }
}

function logFolder(): string {
  return path.join(cacheFolder(), 'consoles');
}

function removeOldLogs(): void {
  mkdirSync(logFolder(), { recursive: true });
  for (const name of readdirSync(logFolder())) {
    const file = path.join(logFolder(), name);
    const { mtimeMs } = statSync(file, { throwIfNoEntry: false }) ?? { mtimeMs: Date.now() };
    if (Date.now() - mtimeMs > LOG_KEEP_MS) rmSync(file, { force: true });
  }
}
