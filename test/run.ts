/**
 * Runs the test files and tells a person how they went; scripts/test calls it when all is built.
 * Owns which files run, beside what, for how long, and what is printed. Judging is verdict.ts's.
 *
 *     node test/run.ts [--quick] [--only PATTERN] [--write-compatibility] [FOLDER]
 */
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { scriptArguments } from './support/script-arguments.ts';
import { environmentOf, probeAll } from './capabilities.ts';
import {
  checkCompatibility,
  COMPATIBILITY_VARIABLE,
  gatherCompatibility,
  renderCompatibility,
} from './compatibility.ts';
import { Verdict, type TestEventData } from './verdict.ts';

const { values, positionals } = scriptArguments({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    'write-compatibility': { type: 'boolean', default: false },
  },
  allowPositionals: true,
});

const folder = positionals[0] ?? join(import.meta.dirname, '..');
const pattern = new RegExp(values.only ?? '');
const started = performance.now();

/**
 * Virtual machines and a bare Debian. More than two at once are slower than two, but one alone waits
 * half of its time: for machines that boot, leases that end, a network that is cut for minutes. And
 * what is compiled for its test alone, for which a machine that is busy takes minutes.
 */
const SLOW = /^test\/(lab\/|bare\/|fuzz\/native\.)/;
const SLOW_WORKERS = 2;
/** Those that take longest come first: at the end each would run alone. */
const LONGEST = /^test\/(bare\/|lab\/(kernels|second-boot|roots|boots|soak|tiers|verify)\.)/;
/** A file that takes longer hangs: its process is ended, and that is a failure. */
const LIMITS = { quickFileMs: 300_000, slowFileMs: 25 * 60_000 };

const files = globSync('test/**/*.test.ts', { cwd: folder }).sort();
const chosen = files.filter((file) => pattern.test(file) && !(values.quick && SLOW.test(file)));
if (chosen.length === 0) {
  process.stderr.write(`error: no test file matches ${String(pattern)}\n`);
  process.exit(1);
}

const lacks = probeAll();
Object.assign(process.env, environmentOf(lacks));
const verdict = new Verdict(lacks);
const notes = mkdtempSync(join(tmpdir(), 'nfsroot-trace-notes-'));
process.env[COMPATIBILITY_VARIABLE] = notes;

await runFiles(
  chosen.filter((file) => !SLOW.test(file)),
  { workers: availableParallelism(), limitMs: LIMITS.quickFileMs },
);
const slow = chosen.filter((file) => SLOW.test(file));
await runFiles(
  [...slow.filter((file) => LONGEST.test(file)), ...slow.filter((file) => !LONGEST.test(file))],
  { workers: SLOW_WORKERS, limitMs: LIMITS.slowFileMs },
);
settleCompatibility();
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

/** Writes or checks docs/compatibility.md; a run that failed says nothing about what it lacks. */
function settleCompatibility(): void {
  const file = join(folder, 'docs/compatibility.md');
  const rows = gatherCompatibility(notes);
  rmSync(notes, { recursive: true });
  // Another folder than this checkout has no such page and notes nothing.
  if (rows.length === 0 && !existsSync(file)) return;
  const whole =
    chosen.length === files.length && verdict.failures.length === 0 && verdict.skips.length === 0;
  try {
    const options = { page: readFileSync(file, 'utf8'), rows, whole };
    if (values['write-compatibility']) writeFileSync(file, renderCompatibility(options));
    const wrong = values['write-compatibility'] ? null : checkCompatibility(options);
    if (wrong !== null) throw new Error(wrong);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    verdict.failures.push({ file, name: 'the table of what works where', text });
    print(`not ok  ${relative(folder, file)}\n${text}`);
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
