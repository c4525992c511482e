/**
 * Compresses and unpacks with a program of this machine, one process for each piece. Owns the
 * process, its environment and what its failures mean. Must not know archives, or run anything of a root.
 */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { TraceError } from '../../common/errors.ts';
import type { Compressor } from './compressor.ts';

export interface ProgramOptions {
  readonly program: string;
  /** Compress or unpack stdin to stdout. */
  readonly args: readonly string[];
  /** The Debian package that has it. */
  readonly package: string;
}

/** Throws `program-missing`. */
export async function programCompressor(options: ProgramOptions): Promise<Compressor> {
  const { program, args } = options;
  const stream = (pieces: AsyncIterable<Buffer> | Iterable<Buffer>) => runProgram(options, pieces);
  return {
    key: `${program} ${args.join(' ')} ${await versionOf(options)}`,
    isQuick: false,
    async whole(bytes) {
      const parts: Buffer[] = [];
      for await (const part of stream([bytes])) parts.push(part);
      return Buffer.concat(parts);
    },
    stream,
  };
}

/** XZ_OPT, XZ_DEFAULTS and LZ4_CLEVEL would change the bytes. */
function environment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], LC_ALL: 'C' };
}

/** All of it: the second line of xz is its library, which does the work. */
async function versionOf({ program, package: name }: ProgramOptions): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, ['--version'], { env: environment() });
    return stdout.trim();
  } catch (cause) {
    throw doesNotRun({ program, package: name }, cause);
  }
}

function doesNotRun(
  { program, package: name }: Pick<ProgramOptions, 'program' | 'package'>,
  cause: unknown,
): TraceError {
  const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
  return new TraceError({
    code: missing ? 'program-missing' : 'program-failed',
    message: missing ? `there is no ${program} here` : `${program} does not run`,
    hint: `install the package ${name}, or choose gzip or zstd, which need no program`,
    exit: 'unavailable',
    cause,
  });
}

/** What a program makes of its input. Throws `program-missing`, `program-failed`. */
export async function* runProgram(
  options: ProgramOptions,
  pieces: AsyncIterable<Buffer> | Iterable<Buffer>,
): AsyncGenerator<Buffer> {
  const { program, args } = options;
  const child = spawn(program, args, { env: environment(), stdio: ['pipe', 'pipe', 'pipe'] });
  const said: Buffer[] = [];
  child.stderr.on('data', (part: Buffer) => said.push(part));
  const ended = once(child, 'close').then(
    ([code, signal]) => ({ good: code === 0, how: String(signal ?? `status ${String(code)}`) }),
    (error: unknown) => ({ good: false, how: String(error), error }),
  );
  // A source that fails closes the program's input: to the program that is an end like any other.
  const source = pipeline(pieces, child.stdin).then(
    () => null,
    (error: unknown) => ({ error }),
  );
  try {
    for await (const part of child.stdout) yield part as Buffer;
    const { good, how, ...start } = await ended;
    if ('error' in start) throw doesNotRun(options, start.error);
    if (!good) throw failed(program, how, Buffer.concat(said));
    const failure = await source;
    if (failure !== null) throw failure.error;
  } finally {
    child.kill();
  }
}

/**
 * The same of bytes that are there, for who cannot wait; the program is ended when it gives more than
 * `most` bytes. Throws `program-missing`, `program-failed`.
 */
export function runProgramNow(options: ProgramOptions, input: Buffer, most: number): Buffer {
  const { program, args } = options;
  const { error, status, signal, stdout, stderr } = spawnSync(program, args, {
    env: environment(),
    input,
    maxBuffer: most,
  });
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'ENOBUFS') throw failed(program, `over ${most} bytes`, stderr);
  // One that does not read to its end fails the writing, too: what it ended with says more.
  if (error !== undefined && code !== 'EPIPE') throw doesNotRun(options, error);
  if (status !== 0) throw failed(program, signal ?? `status ${String(status)}`, stderr);
  return stdout;
}

function failed(program: string, how: string, said: Buffer): TraceError {
  const told = said.toString().trim();
  return new TraceError({
    code: 'program-failed',
    message: `${program} ended with ${how}${told === '' ? '' : `: ${told}`}`,
    hint: 'choose gzip or zstd, which need no program',
    exit: 'failed',
  });
}
