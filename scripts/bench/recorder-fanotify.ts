/**
 * Compares this recorder with fatrace on the same stream of local file reads: two processes read
 * a tree at full speed.
 *
 * What is counted: each reader opens each file once, so that no two opens can be merged by the
 * kernel and every one must be seen. Lost = opens made - opens seen. CPU is that of the whole recorder process, from the start
 * of the load until the recorder has taken the last event; memory is its peak (VmHWM).
 */
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as path from 'node:path';
import process from 'node:process';
import * as readline from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchDisk } from './disk.ts';
import { cpuNs, machine, median as medianOf, memoryMiB } from './figures.ts';
import { compiled } from './compiled.ts';

const READERS = 2;
const DIRECTORIES = 1000;
const FILES = 100;
const QUEUE_LIMIT = '/proc/sys/fs/fanotify/max_queued_events';
const OPENS = READERS * DIRECTORIES * FILES;

interface Result {
  readonly accepted: number;
  readonly lost: number;
  readonly cpuUs: number;
  readonly peakKiB: number;
  readonly loadMs: number;
}

let work = '';
let tree = '';
let reader = '';
let runs = 0;

function prepare(disk: BenchDisk): void {
  ({ work, tree } = disk);
  reader = path.join(work, 'bench-reader');
  compiled('recorder-ours.ts', work);
  execFileSync('cc', ['-O2', '-o', reader, path.join(import.meta.dirname, 'reader.c')]);
}

function peakKiB(pid: number): number {
  return memoryMiB(pid, 'VmHWM') * 1024;
}

/** Runs the readers; resolves with the milliseconds that they took. */
async function load(): Promise<number> {
  const args = [tree, DIRECTORIES, FILES].map(String);
  const readers = Array.from({ length: READERS }, () =>
    spawn(reader, args, { stdio: ['pipe', 'ignore', 'inherit'] }),
  );
  await sleep(200);
  const start = process.hrtime.bigint();
  for (const { stdin } of readers) stdin.end();
  for (const code of await Promise.all(readers.map((child) => exitCode(child))))
    if (code !== 0) throw new Error(`a reader failed with exit code ${code}`);
  return Number(process.hrtime.bigint() - start) / 1e6;
}

async function exitCode(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error(`cannot start ${child.spawnfile}`);
  return child.pid;
}

async function runOurs(): Promise<Result> {
  const script = path.join(work, 'recorder-ours.mjs');
  const child = spawn(process.execPath, [script, tree], { stdio: ['pipe', 'pipe', 'inherit'] });
  const pid = pidOf(child);
  const lines = child.stdout.setEncoding('latin1');
  await once(lines, 'data');
  const before = cpuNs(pid);
  const loadMs = await load();
  child.stdin.end();
  const [line] = (await once(lines, 'data')) as [string];
  const seen = JSON.parse(line) as { opens: number; events: number; lossRows: number };
  const cpuUs = (cpuNs(pid) - before) / 1000;
  const peak = peakKiB(pid);
  child.kill('SIGTERM');
  await exitCode(child);
  if (seen.lossRows > 0) process.stderr.write(`our recorder reported ${seen.lossRows} losses\n`);
  return { accepted: seen.events, lost: OPENS - seen.opens, cpuUs, peakKiB: peak, loadMs };
}

/**
 * fatrace asks for the bounded queue. When that overflows it ends ("unexpected event info type",
 * 0.17.0: it does not know FAN_Q_OVERFLOW), so for a comparison of what an event costs it gets a
 * queue that holds everything: a group takes the limit over when it is made.
 */
async function runFatrace(queueLimit: number | undefined): Promise<Result> {
  const output = path.join(work, 'fatrace.log');
  const limitBefore = fs.readFileSync(QUEUE_LIMIT);
  if (queueLimit !== undefined) fs.writeFileSync(QUEUE_LIMIT, String(queueLimit));
  const child = spawn('fatrace', ['-c', '-o', output], { cwd: tree, stdio: 'ignore' });
  const pid = pidOf(child);
  await sleep(500);
  fs.writeFileSync(QUEUE_LIMIT, limitBefore);
  const before = cpuNs(pid);
  const loadMs = await load();
  // It says nothing when it has caught up: then it does not run any more.
  for (let last = -1, now = before; now !== last && child.exitCode === null; now = cpuNs(pid)) {
    last = now;
    await sleep(300);
  }
  const alive = child.exitCode === null;
  const cpuUs = alive ? (cpuNs(pid) - before) / 1000 : NaN;
  const peak = alive ? peakKiB(pid) : NaN;
  child.kill('SIGINT');
  await exitCode(child);
  let accepted = 0;
  let opens = 0;
  const lines = readline.createInterface({ input: fs.createReadStream(output, 'latin1') });
  for await (const line of lines) {
    // A reader that has ended is "unknown(PID)" to it.
    const types = /\(\d+\): ([A-Z+<>]+) +\/.*\/\d+\/\d+$/.exec(line)?.[1];
    if (types === undefined) continue;
    accepted++;
    if (types.includes('O')) opens++;
  }
  fs.rmSync(output);
  return { accepted, lost: OPENS - opens, cpuUs, peakKiB: peak, loadMs };
}

function median(results: readonly Result[], pick: (result: Result) => number): number {
  return medianOf(results.map(pick));
}

function summary(results: readonly Result[]) {
  return {
    accepted: median(results, (result) => result.accepted),
    lost: median(results, (result) => result.lost),
    lostMost: Math.max(...results.map((result) => result.lost)),
    cpuUsPerEvent: median(results, ({ cpuUs, accepted }) => cpuUs / accepted),
    peakKiB: median(results, (result) => result.peakKiB),
    loadMs: median(results, (result) => result.loadMs),
  };
}

/** The load, once, without and with each recorder, in turn. */
export async function benchFanotify(disk: BenchDisk, wanted: number): Promise<string> {
  runs = wanted;
  prepare(disk);
  await load();
  const alone: number[] = [];
  const ours: Result[] = [];
  const theirs: Result[] = [];
  const asItComes: Result[] = [];
  for (let run = 0; run < runs; run++) {
    alone.push(await load());
    ours.push(await runOurs());
    theirs.push(await runFatrace(100 * OPENS));
    asItComes.push(await runFatrace(undefined));
    process.stderr.write(`run ${run + 1} of ${runs} done\n`);
  }
  const bare = medianOf(alone);
  const [a, b] = [summary(ours), summary(theirs)];
  const rate = Math.round(OPENS / (a.loadMs / 1000) / 1000);
  const row = (name: string, mine: string, other: string, ratio: string) =>
    `| ${name} | ${mine} | ${other} | ${ratio} |\n`;
  const perCore = 1e6 / a.cpuUsPerEvent;
  const generated = (a.accepted / bare) * 1000;
  return (
    `${READERS} processes open, read and close ${DIRECTORIES * FILES} files of 4 KiB (ext4, cached), ` +
    `once each: ${OPENS} opens, ${rate} thousand a second. ` +
    `Medians of ${runs} interleaved runs. ${machine()}.\n\n` +
    row('', 'nfsroot-trace', 'fatrace', 'ratio') +
    '|---|---:|---:|---:|\n' +
    row('opens made', String(OPENS), String(OPENS), '') +
    row('events accepted', String(a.accepted), String(b.accepted), '') +
    row('opens lost (median, worst)', `${a.lost}, ${a.lostMost}`, `${b.lost}, ${b.lostMost}`, '') +
    row(
      'events a second that a busy core accepts',
      perCore.toFixed(0),
      (1e6 / b.cpuUsPerEvent).toFixed(0),
      '',
    ) +
    row('events a second that the unwatched readers would make', generated.toFixed(0), '', '') +
    row(
      'CPU per event, µs',
      a.cpuUsPerEvent.toFixed(2),
      b.cpuUsPerEvent.toFixed(2),
      (a.cpuUsPerEvent / b.cpuUsPerEvent).toFixed(2),
    ) +
    row(
      'peak memory, MiB',
      (a.peakKiB / 1024).toFixed(1),
      (b.peakKiB / 1024).toFixed(1),
      (a.peakKiB / b.peakKiB).toFixed(2),
    ) +
    row(
      'time of the readers, ms (unwatched: ' + bare.toFixed(0) + ')',
      a.loadMs.toFixed(0),
      b.loadMs.toFixed(0),
      (a.loadMs / b.loadMs).toFixed(2),
    ) +
    '\nfatrace had a queue without limit here (fs.fanotify.max_queued_events raised as it started). ' +
    `With the kernel's own limit it lost ${median(asItComes, (result) => result.lost)} opens ` +
    `and ${asItComes.filter((result) => Number.isNaN(result.cpuUs)).length} of ${runs} times ` +
    'ended by itself.\n'
  );
}
