/**
 * Runs one program of the machine and waits for it. Owns how such a failure is told.
 * Knows nothing of machines, roots or NFS.
 */
import { spawn } from 'node:child_process';

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Name that the program is to see as its own, for programs that go by it. */
  readonly argv0?: string;
  readonly input?: Buffer | string;
  readonly timeoutMs?: number;
}

/**
 * Standard output of a program that ended with status 0. Anything else throws, with the last
 * lines of its standard error.
 */
export async function command(
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const [program = '', ...rest] = argv;
  const child = spawn(program, rest, {
    cwd: options.cwd,
    argv0: options.argv0,
    env: options.env ? { ...process.env, ...options.env } : process.env,
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? 600_000,
    killSignal: 'SIGKILL',
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const status = await new Promise<string>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new Error(`cannot run ${program}: ${cause.message}`, { cause })),
    );
    child.once('close', (code, signal) => resolve(code === null ? String(signal) : String(code)));
  });
  if (status !== '0') {
    const tail = Buffer.concat([...out, ...err])
      .toString('utf8')
      .trim()
      .split('\n')
      .slice(-15);
    throw new Error(`${argv.join(' ')} ended with ${status}\n${tail.join('\n')}`);
  }
  return Buffer.concat(out).toString('utf8');
}

/** Resolves after `ms` milliseconds. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
