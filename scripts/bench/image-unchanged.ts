/** An export when nothing has changed since the last one, and when only the image is the same. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exportSession } from '../../src/daemon/export-session.ts';
import { exportIfChanged } from '../../src/image/export-if-changed.ts';
import { Store } from '../../src/store/store.ts';
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
  const databases = subjects.map((subject) => {
    const database = join(work, `${subject.name}.db`);
    recordSession(subject, database);
    return database;
  });
  await sleep(REST_MS);
  const results: Measured[][] = [];
  for (const [index, subject] of subjects.entries()) {
    const database = databases[index] ?? '';
    const store = Store.open({ path: database, readOnly: true });
    const place = (name: string): Writing => ({ subject, output: join(work, name) });
    const { tree } = subject;
    const ways: Way[] = [
      CPIO(place('cpio.cpio')),
      {
        name: '**ours**, `--if-changed`, in a running process',
        run: () =>
          exportSession({
            ...{ store, expression: 'session-1', acceptLoss: false, choices: {}, version: '' },
            ...{ output: join(work, `${subject.name}.cpio`), ifChanged: true },
          }),
      },
      {
        name: '**ours**, the same with a plan, which has come out the same: plan and comparison',
        run: async () => {
          const plan = await subject.replan();
          return exportIfChanged({ tree, plan, output: join(work, 'planned.cpio') });
        },
      },
      command(
        '**ours**, `trace export --if-changed`: a process with all it does',
        database,
        '--if-changed',
      )(place('command.cpio')),
    ];
    results.push(await interleaved({ ways, runs }));
    store.close();
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
