/**
 * Runs a fuzzer's child and watches it: one that stands still, grows or dies has found something by the
 * input that it was at. Owns the limits, and what is done with a find: it is kept, and made smaller as
 * long as the same is found.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readCurrent } from './current.ts';
import type { Found, Said } from './tally.ts';
import type { Target } from './target.ts';

export interface Series {
  readonly target: Target;
  readonly seed: number;
  readonly seconds: number;
  readonly turns?: number;
  /** By what the inputs make the code do. */
  readonly guided?: boolean;
  /** Where finds are kept. */
  readonly folder: string;
  /** The module whose `TARGETS` have it. */
  readonly from?: string;
  /** When an input has taken too long. */
  readonly standsStill?: { readonly cpuMs: number; readonly ms: number };
  /** How often a find is tried to be made smaller. */
  readonly attempts?: number;
}

export interface Outcome {
  readonly said: Omit<Said, 'found'> | null;
  readonly find: Find | null;
}

export interface Find {
  readonly kind: string;
  readonly text: string;
  /** The input, as small as it became. */
  readonly file: string;
  readonly bytes: number;
}

/** One input's: in CPU time, or in time if it waits, on a machine that does other things, too. */
const STANDS_STILL = { cpuMs: 15_000, ms: 120_000 } as const;
const MOST_MEMORY_KB = 2 * 1024 * 1024;
const HEAP_MB = 1024;
const LOOK_MS = 500;
const SHRINK = { attempts: 150, ms: 60_000, standsStill: { cpuMs: 6000, ms: 30_000 } } as const;
/** Each input is a file or several: where files are memory, three times as many are tried. */
const MEMORY = isWritable('/dev/shm') ? '/dev/shm' : tmpdir();
const TARGETS_FILE = join(import.meta.dirname, 'targets/all.ts');
const CHILD = join(import.meta.dirname, 'child.ts');

export async function fuzz(series: Series): Promise<Outcome> {
  const { target, seed, seconds, turns, guided = false, folder } = series;
  const args = ['--seed', String(seed), '--seconds', String(seconds)];
  if (turns !== undefined) args.push('--turns', String(turns));
  if (guided) args.push('--guided');
  return inOwnFolder(async (own) => {
    const { said, found } = await watch(series, [...args, '--current', '../current'], own);
    if (found === null) return { said, find: null };
    const { input } = readCurrent(join(own, '../current'));
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `${target.name}-${seed}-${found.turn}`);
    writeFileSync(file, input);
    const small = await shrink(series, input, found.kind);
    writeFileSync(file, small);
    return { said, find: { kind: found.kind, text: found.text, file, bytes: small.length } };
  });
}

/** What comes of one input. */
export function repeat(target: Target, file: string): Promise<Found | null> {
  return inOwnFolder(async (own) => (await watch({ target }, ['--file', file], own)).found);
}

async function inOwnFolder<T>(use: (own: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(MEMORY, 'nfsroot-trace-fuzz-'));
  const own = join(folder, 'own');
  mkdirSync(own);
  try {
    return await use(own);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

type Watching = Pick<Series, 'target' | 'from' | 'standsStill'>;

interface Watched {
  readonly said: Omit<Said, 'found'> | null;
  readonly found: Found | null;
}

async function watch(
  { target, from = TARGETS_FILE, standsStill = STANDS_STILL }: Watching,
  args: readonly string[],
  own: string,
): Promise<Watched> {
  const current = join(own, '../current');
  const node = ['--disable-warning=ExperimentalWarning', `--max-old-space-size=${HEAP_MB}`];
  const child = spawn(process.execPath, [...node, CHILD, target.name, '--from', from, ...args], {
    cwd: own,
    env: { ...process.env, TMPDIR: join(own, '..') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, err] = [textOf(child.stdout), textOf(child.stderr)];
  const seen: { wrong?: string } = {};
  let begun = { turn: -1, ms: performance.now(), cpuMs: 0 };
  const looking = setInterval(() => {
    const now = { turn: readCurrent(current).turn, ms: performance.now(), cpuMs: cpuOf(child) };
    if (now.turn !== begun.turn) begun = now;
    const { ms, cpuMs } = standsStill;
    if (now.ms - begun.ms > ms || now.cpuMs - begun.cpuMs > cpuMs) seen.wrong = 'stands still';
    else if (memoryOf(child) > MOST_MEMORY_KB) seen.wrong = 'grows';
    if (seen.wrong !== undefined) child.kill('SIGKILL');
  }, LOOK_MS);
  const [status, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.on('close', (...how) => resolve(how));
  });
  clearInterval(looking);
  const last = (await out).trim();
  if (seen.wrong === undefined && last !== '') {
    const { found, ...said } = JSON.parse(last) as Said;
    return { said, found };
  }
  // The process says nothing, so its output does: a heap that is full, an abort in native code.
  const end = seen.wrong ?? `ends with ${String(signal ?? status)}`;
  const text = `the process ${end}\n${(await err).slice(-4000)}`;
  return { said: null, found: { turn: readCurrent(current).turn, kind: end, text } };
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  const pieces: string[] = [];
  for await (const piece of stream) pieces.push(String(piece));
  return pieces.join('');
}

/** User and system time, which proc(5) counts in hundredths of a second. */
function cpuOf({ pid }: ChildProcess): number {
  try {
    const [, after = ''] = readFileSync(`/proc/${String(pid)}/stat`, 'latin1').split(') ');
    const [user, system] = after.split(' ').slice(11, 13);
    return (Number(user) + Number(system)) * 10;
  } catch {
    return 0;
  }
}

function memoryOf({ pid }: ChildProcess): number {
  try {
    const status = readFileSync(`/proc/${String(pid)}/status`, 'latin1');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Without pieces, as long as the same is found; fewer and fewer of them at once. */
async function shrink(series: Series, input: Buffer, kind: string): Promise<Buffer> {
  const { standsStill = SHRINK.standsStill, attempts: most = SHRINK.attempts } = series;
  return inOwnFolder(async (own) => {
    const file = join(own, '../input');
    const end = performance.now() + SHRINK.ms;
    let [best, attempts] = [input, 0];
    for (let piece = best.length >> 1; piece > 0; piece >>= 1)
      for (let at = 0; at < best.length;) {
        if (attempts++ >= most || performance.now() > end) return best;
        const tried = Buffer.concat([best.subarray(0, at), best.subarray(at + piece)]);
        writeFileSync(file, tried);
        const { found } = await watch({ ...series, standsStill }, ['--file', file], own);
        if (found?.kind === kind) best = tried;
        else at += piece;
      }
    return best;
  });
}
