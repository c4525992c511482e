/**
 * Programs that write a newc archive of a list, and ours. Owns how each is called. Every one gets the
 * same list of the same tree in a warm page cache, and writes a new file.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { exportImage } from '../../src/image/export.ts';
import type { ImagePlan } from '../../src/image/plan.ts';
import type { Subject } from './image-subjects.ts';
import { interleaved, type Measured, type Way } from './interleaved.ts';

export const project = join(import.meta.dirname, '../..');
export const TRACE = join(project, 'dist/cli/bin.cjs');

export interface Writing {
  readonly subject: Subject;
  readonly output: string;
}

export type Writer = (writing: Writing) => Way;

function program(name: string, command: string, ...args: string[]): Writer {
  return ({ subject: { root, list }, output }) => ({
    name,
    run: () => {
      const [input, out] = [openSync(list, 'r'), openSync(output, 'w')];
      const done = spawnSync(command, args, { cwd: root, stdio: [input, out, 'inherit'] });
      closeSync(input);
      closeSync(out);
      if (done.status !== 0) throw new Error(`${command} failed`);
      return undefined;
    },
  });
}

export const CPIO = program('`cpio -o -H newc`', 'cpio', '-o0', '-H', 'newc', '--quiet');

export const PEERS: readonly Writer[] = [
  CPIO,
  program(
    '`cpio -C 1048576 -o -H newc`',
    'cpio',
    ...['-o0', '-H', 'newc', '--quiet', '-C', '1048576'],
  ),
  program('`bsdcpio -o -H newc`', 'bsdcpio', '-o0', '-H', 'newc', '--quiet'),
  program('`busybox cpio -o -H newc`', 'busybox', 'cpio', '-o0', '-H', 'newc'),
];

/** The writer alone, as in a running process; without sync and rename, like the others. */
export function written(name: string, plan: ImagePlan): Writer {
  return ({ subject: { tree }, output }) => ({
    name,
    run: async () => {
      const fd = openSync(output, 'w');
      try {
        await exportImage({ plan, tree, output: fd });
      } finally {
        closeSync(fd);
      }
    },
  });
}

/** The command as a person calls it, on the session of a database. */
export function command(name: string, database: string, ...more: string[]): Writer {
  return ({ output }) => ({
    name,
    run: () => {
      const args = [TRACE, 'export', '1', '--db', database, '-o', output, ...more];
      const done = spawnSync(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
      if (done.status !== 0) throw new Error(`trace export failed: ${done.stderr.toString()}`);
      return undefined;
    },
  });
}

/** Runs writers in turns; each output must be as long as the files in it at least. */
export function measureWriters(options: {
  readonly writing: Writing;
  readonly writers: readonly Writer[];
  readonly runs: number;
}): Promise<Measured[]> {
  const { writing, writers, runs } = options;
  const { subject, output } = writing;
  return interleaved({
    ways: writers.map((writer) => writer(writing)),
    runs,
    after: ({ name }) => {
      if (statSync(output).size < subject.plan.contentBytes) throw new Error(`${name}: short`);
      rmSync(output);
    },
  });
}
