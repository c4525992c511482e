/**
 * The fuzzers of native/, built by clang with its sanitizers and run by libFuzzer, which is guided by
 * what the code does. Owns where they and their inputs are, and how libFuzzer is called.
 */
import { execFileSync, spawn } from 'node:child_process';
import { globSync, mkdirSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { writeSeeds } from './native-seeds.ts';

export const REPOSITORY = join(import.meta.dirname, '../..');
const SOURCES = 'test/fuzz/native';
const FIXTURES = join(REPOSITORY, 'test/fixtures');

export interface NativeOutcome {
  readonly turns: number;
  readonly perSecond: number;
  /** Inputs of the corpus in the end: each did something that no other does. */
  readonly corpus: number;
  /** Null if nothing is found. */
  readonly text: string | null;
  readonly file: string | null;
}

/** By name: `native-trace-format` is trace_format.cc. */
export function nativeTargets(): string[] {
  return globSync(`${SOURCES}/*.cc`, { cwd: REPOSITORY })
    .map((file) => `native-${basename(file, '.cc').replaceAll('_', '-')}`)
    .sort();
}

const fileOf = (target: string): string => target.replace('native-', '').replaceAll('-', '_');

/** Compiles what changed. */
export function buildNative(out: string): void {
  mkdirSync(out, { recursive: true });
  const args = ['-s', `-j${availableParallelism()}`, '-f', `${SOURCES}/Makefile`, `OUT=${out}`];
  execFileSync('make', args, { cwd: REPOSITORY, stdio: ['ignore', 'ignore', 'inherit'] });
}

export interface NativeRun {
  readonly target: string;
  readonly out: string;
  readonly seed: number;
  readonly seconds: number;
}

/** Goes on from what earlier runs have learnt, in `out`, unless it is a test's that must repeat. */
export async function fuzzNative({
  target,
  out,
  seed,
  seconds,
}: NativeRun): Promise<NativeOutcome> {
  const corpus = join(out, 'corpus', target);
  const finds = join(out, 'finds');
  for (const folder of [corpus, finds]) mkdirSync(folder, { recursive: true });
  writeSeeds(target, corpus);
  const args = [
    `-seed=${seed}`,
    `-max_total_time=${seconds}`,
    '-max_len=65536',
    '-timeout=20',
    '-rss_limit_mb=2048',
    '-print_final_stats=1',
    `-artifact_prefix=${finds}/${target}-`,
  ];
  const { status, text } = await run(join(out, fileOf(target)), [...args, corpus]);
  const stat = (name: string): number =>
    Number(new RegExp(`stat::${name}: +(\\d+)`).exec(text)?.[1] ?? 0);
  return {
    turns: stat('number_of_executed_units'),
    perSecond: stat('average_exec_per_sec'),
    corpus: readdirSync(corpus).length,
    text: status === 0 ? null : text.slice(text.search(/==\d+==|runtime error/)).slice(0, 4000),
    file: /Test unit written to (.+)/.exec(text)?.[1] ?? null,
  };
}

/** Null if an input does no harm any more. */
export async function repeatNative(
  target: string,
  out: string,
  file: string,
): Promise<string | null> {
  const { status, text } = await run(join(out, fileOf(target)), ['-timeout=20', file]);
  return status === 0 ? null : text;
}

function run(
  program: string,
  args: readonly string[],
): Promise<{ readonly status: number | null; readonly text: string }> {
  const env = { ...process.env, NFSROOT_TRACE_FIXTURES: FIXTURES };
  const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  child.stderr.setEncoding('latin1').on('data', (piece: string) => (text += piece));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, text }));
  });
}
