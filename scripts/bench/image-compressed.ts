/** Compressed images against `cpio | zstd -T2`, whole and after one file changed. */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { exportImage, type ExportResult } from '../../src/image/export.ts';
import type { ImagePlan } from '../../src/image/plan.ts';
import { machine, markdownTable } from './figures.ts';
import { described, makeReal, prepare } from './image-subjects.ts';
import { columns, interleaved, type Way } from './interleaved.ts';

const ZSTD = { method: 'zstd', level: 3 } as const;

export async function benchCompressed(work: string, runs: number): Promise<string> {
  const subject = await prepare(work, 'E', makeReal);
  const { root, list, tree } = subject;
  const output = join(work, 'out.cpio.zst');
  const frameCache = { folder: join(work, 'frames'), maxBytes: 4e9 };
  const changing = join(root, subject.plan.entries.find(isMiddling)?.path.toString() ?? '');
  const changingAt = changing.slice(root.length + 1);
  let plan = subject.plan;
  let change = 0;
  const write = async (more: { readonly cached: boolean }): Promise<ExportResult> => {
    const fd = openSync(output, 'w');
    try {
      const kept = more.cached ? { frameCache, settledSeconds: 0 } : {};
      return await exportImage({ tree, plan, output: fd, compress: ZSTD, ...kept });
    } finally {
      closeSync(fd);
    }
  };
  const counts: (readonly [hits: number, misses: number])[] = [];
  const ours = '**ours**, zstd:3';
  const ways: Way[] = [
    { name: ours, run: () => write({ cached: false }) },
    {
      name: `${ours}, with kept frames, after ${changingAt} changed`,
      run: async () => {
        const { frames } = await write({ cached: true });
        counts.push([frames?.cache?.hits ?? 0, frames?.cache?.misses ?? 0]);
      },
    },
    {
      name: '`cpio -o -H newc \\| zstd -3 -T2`',
      run: () => {
        const words = `cpio -o0 -H newc --quiet -C 1048576 <"$0" | zstd -q -3 -T2 -f -o "$1"`;
        const done = spawnSync('sh', ['-c', words, list, output], { cwd: root });
        if (done.status !== 0) throw new Error('cpio | zstd failed');
        return undefined;
      },
    },
  ];
  const lengths = new Map<string, number>();
  await write({ cached: true });
  const measured = await interleaved({
    ways,
    runs,
    // Another content each time: a frame that was kept in an earlier run would be found. And a new
    // file, as exports make: to cut one short that is still being written takes 10 ms, of any of them.
    before: async () => {
      rmSync(output, { force: true });
      spawnSync('sh', ['-c', 'echo changed >>"$0"', changing]);
      utimesSync(changing, ++change, change);
      spawnSync('sleep', ['0.05']);
      plan = await subject.replan();
    },
    after: ({ name }) => lengths.set(name, statSync(output).size),
  });
  tree.close();
  const wrong = counts.find(([hits, misses]) => misses !== 1 || hits === 0);
  if (wrong !== undefined) throw new Error(`not one frame new: ${String(wrong)}`);
  return (
    `${described(subject)}, a part of this machine's /usr, in the page cache; ` +
    `medians of ${runs} interleaved runs. ${machine()}.\n\n` +
    markdownTable([
      ['image', 'E', 'speed', 'length'],
      ...measured.map((one) => [
        one.name,
        ...columns(one),
        `${((lengths.get(one.name) ?? 0) / 1e6).toFixed(1)} MB`,
      ]),
    ])
  );
}

function isMiddling({ type, size }: ImagePlan['entries'][number]): boolean {
  return type === 'file' && size > 20_000 && size < 50_000;
}
