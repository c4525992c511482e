/** An export when nothing has changed since the last one, with the plan and without. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exportIfChanged } from '../../src/image/export-if-changed.ts';
import { machine, markdownTable } from './figures.ts';
import { described, makeMixed, makeSmall, prepare, recordSession } from './image-subjects.ts';
import { command, CPIO, type Writing } from './image-writers.ts';
import { columns, interleaved, type Measured, type Way } from './interleaved.ts';

/** What the product asks of files that it knows by their times, and a little more. */
const REST_MS = 61_000;

export async function benchUnchanged(work: string, runs: number): Promise<string> {
  const subjects = [
    await prepare(work, 'C', makeMixed),
    await prepare(work, 'D', makeSmall),
  ] as const;
  await sleep(REST_MS);
  const results: Measured[][] = [];
  for (const subject of subjects) {
    const database = join(work, `${subject.name}.db`);
    recordSession(subject, database);
    const place = (name: string): Writing => ({ subject, output: join(work, name) });
    const { tree } = subject;
    const ifChanged = (name: string, plan: () => Promise<typeof subject.plan>): Way => {
      const { output } = place('here.cpio');
      return { name, run: async () => exportIfChanged({ tree, plan: await plan(), output }) };
    };
    const ways = [
      CPIO(place('cpio.cpio')),
      ifChanged('**ours**, `--if-changed`, in a running process: from the plan on', () =>
        Promise.resolve(subject.plan),
      ),
      ifChanged('**ours**, the same, with planning', () => subject.replan()),
      command(
        '**ours**, `trace export --if-changed`: a process with all it does',
        database,
        '--if-changed',
      )(place('command.cpio')),
    ];
    results.push(await interleaved({ ways, runs }));
    tree.close();
  }
  const names = results[0]?.map(({ name }) => name) ?? [];
  return (
    `${subjects.map(described).join('; ')}; medians of ${runs} interleaved runs. ${machine()}.\n\n` +
    markdownTable([
      ['', ...subjects.flatMap(({ name }) => [name, 'speed'])],
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
