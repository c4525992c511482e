/**
 * The measurement behind scripts/bench-image. Owns its trees and its table.
 *
 * Every writer gets the same list of the same tree in a warm page cache and writes a fresh file;
 * runs are interleaved, and figures are medians, of times and of each run's ratio to GNU cpio.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { cpus, release } from 'node:os';
import { dirname, join } from 'node:path';
import { scriptArguments } from '../../test/support/script-arguments.ts';
import { makeReal, measureCompressed } from './image-compressed.ts';

import { NativeTree } from '../../src/fanotify-ts/tree.ts';
import { exportImage } from '../../src/image/export.ts';
import { parseList } from '../../src/image/list.ts';
import { type ImagePlan, planImage } from '../../src/image/plan.ts';

const { values } = scriptArguments({
  options: { runs: { type: 'string', default: '5' }, dir: { type: 'string', default: '/var/tmp' } },
});
const runs = Number(values.runs);
const work = mkdtempSync(join(values.dir, 'nfsroot-trace-bench-'));
const project = join(import.meta.dirname, '../..');
const say = (text: string) => process.stderr.write(`${text}\n`);

/** The same sizes in every run: a small linear congruential generator. */
function generator(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

/** About 7,800 entries and 300 MB, sizes spread as in a Debian root. */
function makeMixed(root: string): void {
  const random = generator(1);
  for (let i = 0; i < 6400; i++) {
    const kind = random();
    const size =
      kind < 0.55
        ? random() * 4096
        : kind < 0.85
          ? 4096 + random() * 45_000
          : kind < 0.985
            ? 50_000 + random() * 200_000
            : 300_000 + random() * 2_300_000;
    write(join(root, `usr/d${i % 30}/e${i % 400}/file-${i}`), Math.floor(size), random());
  }
  for (let i = 0; i < 900; i++)
    symlinkSync(`file-${i}`, join(root, `usr/d${i % 30}/e${i % 400}/l-${i}`));
}

/** 20,000 small files, 135 MB. */
function makeSmall(root: string): void {
  const random = generator(2);
  for (let i = 0; i < 20_000; i++)
    write(join(root, `d${i % 200}/file-${i}`), Math.floor(random() * 13_500), random());
}

function write(path: string, size: number, seed: number): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, Buffer.alloc(size, `some content ${seed} `));
}

interface Subject {
  readonly root: string;
  readonly list: string;
  readonly tree: NativeTree;
  readonly plan: ImagePlan;
  /** The root as it is now. */
  readonly replan: () => Promise<ImagePlan>;
}

interface Writer {
  readonly name: string;
  /** Writes the archive to a new file. */
  write(subject: Subject, output: string): Promise<void> | void;
}

function program(command: string, ...args: string[]): Writer['write'] {
  return ({ root, list }, output) => {
    const [input, out] = [openSync(list, 'r'), openSync(output, 'w')];
    const done = spawnSync(command, args, { cwd: root, stdio: [input, out, 'inherit'] });
    closeSync(input);
    closeSync(out);
    if (done.status !== 0) throw new Error(`${command} failed`);
  };
}

/** What a command does that is given a list: start, read it, plan, write. */
const ONE_SHOT = `
import { readFileSync } from 'node:fs';
import { NativeTree } from '${project}/dist/fanotify-ts/tree.js';
import { exportImage } from '${project}/dist/image/export.js';
import { parseList } from '${project}/dist/image/list.js';
import { planImage } from '${project}/dist/image/plan.js';
const tree = NativeTree.open('.');
const files = parseList(readFileSync(0), { nul: true }).map((path) => ({ path, operations: 16 }));
const plan = await planImage({ tree, files, mountPoints: [], devices: [] });
await exportImage({ tree, plan, output: 1 });
`;

const WRITERS: readonly Writer[] = [
  { name: '`cpio -o -H newc`', write: program('cpio', '-o0', '-H', 'newc', '--quiet') },
  {
    name: '`cpio -C 1048576 -o -H newc`',
    write: program('cpio', '-o0', '-H', 'newc', '--quiet', '-C', '1048576'),
  },
  { name: '`bsdcpio -o -H newc`', write: program('bsdcpio', '-o0', '-H', 'newc', '--quiet') },
  { name: '`busybox cpio -o -H newc`', write: program('busybox', 'cpio', '-o0', '-H', 'newc') },
  {
    name: '**ours**, the writer in a running process',
    async write({ plan, tree }, output) {
      const fd = openSync(output, 'w');
      await exportImage({ plan, tree, output: fd });
      closeSync(fd);
    },
  },
  {
    name: '**ours**, a process from start to end: list, plan, write',
    write: program(process.execPath, '--input-type=module', '-e', ONE_SHOT),
  },
  {
    name: '**ours**, in a running process, with fsync and rename',
    async write({ plan, tree }, output) {
      await exportImage({ plan, tree, output });
    },
  },
];

const shown = (table: readonly (readonly string[])[]): string =>
  `${table.map((row) => `| ${row.join(' | ')} |`).join('\n')}\n`;

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;

async function prepare(name: string, make: (root: string) => void): Promise<Subject> {
  const root = join(work, name);
  mkdirSync(root);
  make(root);
  const list = join(work, `${name}.list`);
  const found = spawnSync('find', ['.', '-print0'], { cwd: root, maxBuffer: 1 << 30 });
  const files = parseList(found.stdout, { nul: true });
  const tree = NativeTree.open(root);
  const replan = () =>
    planImage({
      tree,
      files: files.map((path) => ({ path, operations: 16 })),
      mountPoints: [],
      devices: [],
    });
  const plan = await replan();
  writeFileSync(
    list,
    Buffer.concat(
      plan.entries.flatMap(({ path }) => [
        path.length === 0 ? Buffer.from('.') : path,
        Buffer.alloc(1),
      ]),
    ),
  );
  spawnSync('sync');
  say(`tree ${name}: ${plan.entries.length} entries, ${Math.round(plan.bytes / 1e6)} MB`);
  return { root, list, tree, plan, replan };
}

/** Milliseconds of each writer in each run. */
async function measure(subject: Subject): Promise<number[][]> {
  const times: number[][] = WRITERS.map(() => []);
  const output = join(work, 'out.cpio');
  const once = async (writer: Writer): Promise<number> => {
    const start = performance.now();
    await writer.write(subject, output);
    const took = performance.now() - start;
    if (statSync(output).size < subject.plan.contentBytes) throw new Error(`${writer.name}: short`);
    rmSync(output);
    return took;
  };
  for (const writer of WRITERS) await once(writer);
  for (let run = 0; run < runs; run++)
    for (const [index, writer] of WRITERS.entries()) times[index]?.push(await once(writer));
  return times;
}

try {
  const type = spawnSync('findmnt', ['-n', '-o', 'FSTYPE', '-T', work]).stdout.toString().trim();
  say(`making trees in ${work} (${type})`);
  const subjects = [await prepare('A', makeMixed), await prepare('B', makeSmall)];
  const columns: { times: number[][]; base: number[] }[] = [];
  for (const subject of subjects) {
    const times = await measure(subject);
    columns.push({ times, base: times[0] ?? [] });
  }
  const model = /model name\s*: (.*)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown';
  const rows = WRITERS.map((writer, index) => [
    writer.name,
    ...columns.flatMap(({ times, base }) => {
      const own = times[index] ?? [];
      const ratio = median(own.map((time, run) => (base[run] ?? 0) / time));
      return [`${median(own).toFixed(0)} ms`, `${ratio.toFixed(1)} ×`];
    }),
  ]);
  const table = [
    ['writer', 'A', 'speed', 'B', 'speed'],
    ['---', '--:', '--:', '--:', '--:'],
    ...rows,
  ];
  process.stdout.write(
    `${subjects
      .map(
        ({ root, plan }) =>
          `Tree ${root.slice(-1)}: ${plan.entries.length} entries, ${Math.round(plan.bytes / 1e6)} MB.`,
      )
      .join(' ')} File system: ${type}; ${cpus().length} × ${model}; Linux ${release()}; ` +
      `warm cache; medians of ${runs} interleaved runs.\n\n` +
      `${shown(table)}\n`,
  );
  const real = await prepare('C', makeReal);
  const compressed = await measureCompressed({ subject: real, ...real, work, runs, median });
  process.stdout.write(
    `Tree C, of this machine's /usr: ${real.plan.entries.length} entries, ` +
      `${Math.round(real.plan.bytes / 1e6)} MB.\n\n` +
      shown([['image', 'C', 'speed', 'length'], ['---', '--:', '--:', '--:'], ...compressed]),
  );
} finally {
  rmSync(work, { recursive: true, force: true });
}
