/**
 * Runs the test files and tells a person how they went; scripts/test calls it when all is built.
 * Owns which files run, beside what, for how long, and what is printed. Judging is verdict.ts's.
 *
 *     node test/run.ts [--quick] [--only PATTERN] [FOLDER]
 */
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { parseArgs } from 'node:util';
import { environmentOf, probeAll } from './capabilities.ts';
import { Verdict, type TestEventData } from './verdict.ts';

const { values, positionals } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
  allowPositionals: true,
});

const folder = positionals[0] ?? join(import.meta.dirname, '..');
const pattern = new RegExp(values.only ?? '');
const started = performance.now();

/** Virtual machines and a bare Debian: each wants the whole machine for minutes. */
const SLOW = /^test\/(lab|bare)\//;
/** A file that takes longer hangs: its process is ended, and that is a failure. */
const LIMITS = { quickFileMs: 150_000, slowFileMs: 25 * 60_000 };

const files = globSync('test/**/*.test.ts', { cwd: folder }).sort();
const chosen = files.filter((file) => pattern.test(file) && !(values.quick && SLOW.test(file)));
if (chosen.length === 0) {
  process.stderr.write(`error: no test file matches ${String(pattern)}\n`);
  process.exit(1);
}

const lacks = probeAll();
Object.assign(process.env, environmentOf(lacks));
const verdict = new Verdict(lacks);

await runFiles(
  chosen.filter((file) => !SLOW.test(file)),
  { workers: availableParallelism(), limitMs: LIMITS.quickFileMs },
);
await runFiles(
  chosen.filter((file) => SLOW.test(file)),
  { workers: 1, limitMs: LIMITS.slowFileMs },
);
tell();
process.exitCode = verdict.ok ? 0 : 1;

async function runFiles(
  names: readonly string[],
  options: { readonly workers: number; readonly limitMs: number },
): Promise<void> {
  const queue = [...names];
  const worker = async (): Promise<void> => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      await runFile(join(folder, name), options.limitMs);
    }
  };
  await Promise.all(Array.from({ length: options.workers }, worker));
}

/** One `run` a file: its own `timeout` ends tests, but not a process that something keeps alive. */
async function runFile(file: string, limitMs: number): Promise<void> {
  const stream = run({ files: [file], signal: AbortSignal.timeout(limitMs) });
  for await (const { type, data } of stream as AsyncIterable<{ type: string; data: unknown }>) {
    const event = data as TestEventData;
    const failure = verdict.take(type, event);
    if (failure) {
      print(`not ok  ${relative(folder, failure.file)}: ${failure.name}`);
      print(failure.text.replaceAll(/^/gm, '        '));
    } else if (type === 'test:summary' && event.file !== undefined) {
      tellFile(data as FileSummary);
    } else if (type === 'test:diagnostic' && event.file !== undefined) {
      print(`        ${relative(folder, event.file)}: ${event.message ?? ''}`);
    } else if (type === 'test:stdout' || type === 'test:stderr') {
      process.stderr.write(event.message ?? '');
    }
  }
}

interface FileSummary {
  readonly file: string;
  readonly success: boolean;
  readonly counts: { readonly passed: number };
  readonly duration_ms: number;
}

function tellFile({ file, success, counts, duration_ms: time }: FileSummary): void {
  const mark = success ? 'ok    ' : 'not ok';
  print(`${mark}  ${relative(folder, file)}: ${counts.passed} passed, ${seconds(time)}`);
}

function tell(): void {
  if (verdict.failures.length > 0) print('\nfailed:');
  for (const { file, name } of verdict.failures) print(`  ${relative(folder, file)}: ${name}`);
  if (verdict.skips.length > 0) print('\nskipped:');
  for (const { file, name, reason } of verdict.skips) {
    print(`  ${relative(folder, file)}: ${name}: ${reason}`);
  }
  print(`\ntests took ${seconds(performance.now() - started)}`);
  print(
    `${verdict.passed} passed, ${verdict.failures.length} failed, ${verdict.skips.length} skipped`,
  );
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
