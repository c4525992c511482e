/**
 * Compressed images against `cpio | zstd -T2`, whole and after one file changed. Owns its tree, a
 * part of this machine's own /usr: made-up content would compress in no time. Gives a table.
 */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { NativeTree } from '../../src/fanotify-ts/tree.ts';
import { exportImage } from '../../src/image/export.ts';
import type { ImagePlan } from '../../src/image/plan.ts';

const MOST_BYTES = 150e6;
const ZSTD = { method: 'zstd', level: 3 } as const;

export function makeReal(root: string): void {
  let bytes = 0;
  for (const folder of ['/usr/bin', '/usr/sbin', '/usr/lib/x86_64-linux-gnu'])
    for (const name of existsSync(folder) ? readdirSync(folder).sort() : []) {
      const path = join(folder, name);
      const found = lstatSync(path);
      if (!found.isFile() || bytes + found.size > MOST_BYTES) continue;
      mkdirSync(dirname(join(root, path)), { recursive: true });
      copyFileSync(path, join(root, path));
      bytes += found.size;
    }
}

export interface CompressedOptions {
  readonly subject: {
    readonly root: string;
    readonly list: string;
    readonly tree: NativeTree;
    readonly plan: ImagePlan;
  };
  /** Plans the root as it is now. */
  readonly replan: () => Promise<ImagePlan>;
  /** A folder for outputs. */
  readonly work: string;
  readonly runs: number;
  readonly median: (numbers: readonly number[]) => number;
}

/** Rows of: what, time, speed against the first, length. */
export async function measureCompressed(options: CompressedOptions): Promise<string[][]> {
  const { subject, replan, work, runs, median } = options;
  const { root, list, tree } = subject;
  const output = join(work, 'out.cpio.zst');
  const frameCache = { folder: join(work, 'frames'), maxBytes: 4e9 };
  const changing = join(root, subject.plan.entries.find(isMiddling)?.path.toString() ?? '');
  let plan = subject.plan;
  const ways: readonly (readonly [string, () => Promise<void> | void])[] = [
    [
      '`cpio -o -H newc \\| zstd -3 -T2`',
      () => {
        const command = `cpio -o0 -H newc --quiet -C 1048576 <"$0" | zstd -q -3 -T2 -f -o "$1"`;
        const done = spawnSync('sh', ['-c', command, list, output], { cwd: root });
        if (done.status !== 0) throw new Error('cpio | zstd failed');
      },
    ],
    [
      '**ours**, zstd:3',
      async () => {
        await exportImage({ tree, plan, output, compress: ZSTD });
      },
    ],
    [
      '**ours**, zstd:3, one file changed, with kept frames',
      async () => {
        await exportImage({ tree, plan, output, compress: ZSTD, frameCache });
      },
    ],
  ];
  const times: number[][] = ways.map(() => []);
  const lengths: number[] = [];
  const misses: number[] = [];
  await exportImage({ tree, plan, output, compress: ZSTD, frameCache });
  for (let run = 0; run < runs; run++) {
    // Another content each time: a frame that was kept in an earlier run would be found.
    spawnSync('sh', ['-c', 'echo changed >>"$0"', changing]);
    utimesSync(changing, run, run);
    plan = await replan();
    for (const [index, [, write]] of ways.entries()) {
      const start = performance.now();
      await write();
      times[index]?.push(performance.now() - start);
      lengths[index] = statSync(output).size;
      rmSync(output);
    }
    const { frames } = await exportImage({ tree, plan, output, compress: ZSTD, frameCache });
    misses.push(frames?.cache?.misses ?? 0);
  }
  if (misses.some((count) => count > 0)) throw new Error('frames were not kept');
  return ways.map(([name], index) => {
    const own = times[index] ?? [];
    const ratio = median(own.map((time, run) => (times[0]?.[run] ?? 0) / time));
    const length = `${((lengths[index] ?? 0) / 1e6).toFixed(1)} MB`;
    return [name, `${median(own).toFixed(0)} ms`, `${ratio.toFixed(1)} ×`, length];
  });
}

function isMiddling({ type, size }: ImagePlan['entries'][number]): boolean {
  return type === 'file' && size > 20_000 && size < 50_000;
}
