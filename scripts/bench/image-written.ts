/** Writing archives: on the file system of the folder, and on XFS and btrfs of their own. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { exportImage } from '../../src/image/export.ts';
import { machine, markdownTable } from './figures.ts';
import {
  described,
  makeMixed,
  makeSmall,
  prepare,
  recordSession,
  type Subject,
} from './image-subjects.ts';
import { command, CPIO, measureWriters, PEERS, type Writer, written } from './image-writers.ts';
import { columns, type Measured } from './interleaved.ts';

/** With fsync and rename. */
function whole(name: string): Writer {
  return ({ subject: { plan, tree }, output }) => ({
    name,
    run: () => exportImage({ plan, tree, output }),
  });
}

export async function benchWritten(work: string, runs: number): Promise<string> {
  const fileSystem = typeOf(work);
  const results: Measured[][] = [];
  const subjects: Subject[] = [];
  for (const [name, make] of [
    ['A', makeMixed],
    ['B', makeSmall],
  ] as const) {
    const subject = await prepare(work, name, make);
    const database = join(work, `${name}.db`);
    recordSession(subject, database);
    const writers = [
      ...PEERS,
      written('**ours**, the writer in a running process', subject.plan),
      whole('**ours**, in a running process, with fsync and rename'),
      command('**ours**, `trace export`: a process with all it does', database),
    ];
    const writing = { subject, output: join(work, 'out.cpio') };
    results.push(await measureWriters({ writing, writers, runs }));
    subjects.push(subject);
  }
  return tableOf({ results, subjects, runs, on: fileSystem });
}

/** Loop devices, so that the file systems are what they are anywhere. */
export async function benchShared(work: string, runs: number): Promise<string> {
  const parts: string[] = [];
  for (const type of ['xfs', 'btrfs'] as const)
    parts.push(await onDisk(type, work, (folder) => sharedOn(type, folder, runs)));
  return parts.join('\n');
}

async function sharedOn(type: string, folder: string, runs: number): Promise<string> {
  const subject = await prepare(folder, 'A', makeMixed);
  try {
    const aligned = await subject.replan({ align: true });
    const writers = [
      CPIO,
      ...PEERS.slice(1),
      written('**ours**', subject.plan),
      written('**ours**, `--align`', aligned),
    ];
    const writing = { subject, output: join(folder, 'out.cpio') };
    const results = [await measureWriters({ writing, writers, runs })];
    return tableOf({ results, subjects: [subject], runs, on: `${type}, of a loop device` });
  } finally {
    subject.tree.close();
  }
}

async function onDisk(
  type: 'xfs' | 'btrfs',
  work: string,
  use: (folder: string) => Promise<string>,
): Promise<string> {
  const [image, folder] = [join(work, `${type}.disk`), join(work, type)];
  mkdirSync(folder);
  closeSync(openSync(image, 'w'));
  truncateSync(image, 4 * 1024 ** 3);
  execFileSync(`mkfs.${type}`, ['-q', '-f', image]);
  execFileSync('mount', ['-o', 'loop,noatime', image, folder]);
  try {
    return await use(folder);
  } finally {
    execFileSync('umount', [folder]);
    rmSync(image);
  }
}

function typeOf(folder: string): string {
  return execFileSync('findmnt', ['-n', '-o', 'FSTYPE', '-T', folder]).toString().trim();
}

function tableOf(options: {
  readonly results: readonly (readonly Measured[])[];
  readonly subjects: readonly Subject[];
  readonly runs: number;
  readonly on: string;
}): string {
  const { results, subjects, runs, on } = options;
  const names = results[0]?.map(({ name }) => name) ?? [];
  return (
    `${subjects.map(described).join('; ')}. On ${on}, in the page cache; ` +
    `medians of ${runs} interleaved runs. ${machine()}.\n\n` +
    markdownTable([
      ['writer', ...subjects.flatMap(({ name }) => [name, 'speed'])],
      ...names.map((name, row) => [
        name,
        ...results.flatMap((measured) => {
          const one = measured[row];
          return one === undefined ? [] : columns(one);
        }),
      ]),
    ])
  );
}
