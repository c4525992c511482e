/**
 * Measures how fast the names in a plain archive of about 300 MB are listed, beside GNU cpio, bsdcpio
 * and busybox; prints a Markdown table of medians. Owns its archive: the sizes of a Debian root's
 * files, names of usual length. Runs are interleaved, in a warm page cache, names into /dev/null.
 *   --runs N       interleaved runs of each (default 5)
 *   --dir FOLDER   where the archive is made (default /var/tmp)
 */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { headerLength, paddingOf, trailer, writeHeader } from '../../src/image/cpio.ts';
import { Input } from '../../src/image/tools/input.ts';
import { walkImage } from '../../src/image/tools/walk-image.ts';
import { scriptArguments } from '../../test/support/script-arguments.ts';
import { machine, markdownTable, median } from './figures.ts';

const { values } = scriptArguments({
  options: { runs: { type: 'string', default: '5' }, dir: { type: 'string', default: '/var/tmp' } },
});
const runs = Number(values.runs);
const work = mkdtempSync(join(values.dir, 'nfsroot-trace-bench-'));
const archive = join(work, 'image.cpio');
const TRACE = join(import.meta.dirname, '../../dist/cli/bin.cjs');

/** The same sizes in every run: a small linear congruential generator. */
function sizes(): number[] {
  let state = 1;
  const random = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  return Array.from({ length: 7800 }, () => {
    const kind = random();
    if (kind < 0.6) return Math.floor(random() * 4096);
    if (kind < 0.87) return Math.floor(4096 + random() * 45_000);
    if (kind < 0.987) return Math.floor(50_000 + random() * 200_000);
    return Math.floor(300_000 + random() * 2_000_000);
  });
}

function makeArchive(): void {
  const fd = openSync(archive, 'w');
  let offset = 0;
  const write = (bytes: Buffer): void => {
    offset += writeSync(fd, bytes);
  };
  for (const [index, size] of sizes().entries()) {
    const name = Buffer.from(`usr/lib/folder-${index % 400}/some-file-${index}.so`);
    const record = Buffer.alloc(headerLength(name.length) + size + paddingOf(size), 'content ');
    const numbers = {
      inode: index,
      uid: 0,
      gid: 0,
      nlink: 1,
      mtime: 0,
      rdevMajor: 0,
      rdevMinor: 0,
    };
    writeHeader(record, 0, { ...numbers, mode: 0o100644, size, name });
    write(record);
  }
  write(trailer(offset));
  closeSync(fd);
}

async function inProcess(): Promise<void> {
  const input = Input.open(archive);
  const names: string[] = [];
  await walkImage(input, {
    record: ({ name }) => {
      names.push(name);
      return null;
    },
  });
  input.close();
  const fd = openSync('/dev/null', 'w');
  writeSync(fd, names.join('\n'));
  closeSync(fd);
}

function program(command: string, ...args: readonly string[]): () => void {
  return () => {
    const [input, output] = [openSync(archive, 'r'), openSync('/dev/null', 'w')];
    const { status } = spawnSync(command, args, { stdio: [input, output, 'inherit'] });
    closeSync(input);
    closeSync(output);
    if (status !== 0) throw new Error(`${command} failed`);
  };
}

const LISTERS: readonly (readonly [string, () => void | Promise<void>])[] = [
  ['`cpio -t`', program('cpio', '-t', '--quiet')],
  ['`bsdcpio -it`', program('bsdcpio', '-it', '--quiet')],
  ['`busybox cpio -t`', program('busybox', 'cpio', '-t')],
  ['**ours**, in a running process', inProcess],
  ['**ours**, `trace image list`', program(process.execPath, TRACE, 'image', 'list', archive)],
];

try {
  makeArchive();
  const times: number[][] = LISTERS.map(() => []);
  for (let run = -1; run < runs; run++)
    for (const [index, [, list]] of LISTERS.entries()) {
      const start = performance.now();
      await list();
      // The first is to warm up.
      if (run >= 0) times[index]?.push(performance.now() - start);
    }
  const base = times[0] ?? [];
  const rows = LISTERS.map(([name], index) => {
    const own = times[index] ?? [];
    const ratio = median(own.map((time, run) => (base[run] ?? NaN) / time));
    return [name, `${median(own).toFixed(0)} ms`, ratio.toFixed(1)];
  });
  const size = Math.round(statSync(archive).size / 1e6);
  process.stdout.write(
    `${markdownTable([[`listing ${size} MB, ${sizes().length} entries`, 'median', '× cpio'], ...rows])}\n${machine()}\n`,
  );
} finally {
  rmSync(work, { recursive: true });
}
