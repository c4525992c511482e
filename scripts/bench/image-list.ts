/**
 * Listing the names in a plain archive of about 300 MB, beside GNU cpio, bsdcpio and busybox. Owns
 * its archive: the sizes of a Debian root's files, names of usual length. Names go into /dev/null.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { headerLength, paddingOf, trailer, writeHeader } from '../../src/image/cpio.ts';
import { Input } from '../../src/image/tools/input.ts';
import { walkImage } from '../../src/image/tools/walk-image.ts';
import { machine, markdownTable } from './figures.ts';
import { project, TRACE } from './image-writers.ts';
import { columns, interleaved, type Way } from './interleaved.ts';

const COMMAND = join(project, 'scripts/bin/trace');

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

function makeArchive(archive: string): void {
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

async function inProcess(archive: string): Promise<void> {
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

/** Says how long a command took, in microseconds. */
const TIMED = 'start=$EPOCHREALTIME; "$@" 2>/dev/null >&3 || exit; end=$EPOCHREALTIME; echo $((${end/./} - ${start/./}))'; // prettier-ignore

/**
 * By a program that reads the archive from its standard input. A shell starts it and has the clock:
 * a process as large as this one takes longer to start another than some of them take to run.
 */
function program(archive: string, ...command: readonly string[]): Way['run'] {
  return () => {
    const [input, output] = [openSync(archive, 'r'), openSync('/dev/null', 'w')];
    const args = ['-c', TIMED, 'bash', ...command];
    const { status, stdout } = spawnSync('bash', args, {
      stdio: [input, 'pipe', 'inherit', output],
    });
    closeSync(input);
    closeSync(output);
    if (status !== 0) throw new Error(`${command.join(' ')} failed`);
    return { ownMs: Number(stdout.toString()) / 1000 };
  };
}

export async function benchListed(work: string, runs: number): Promise<string> {
  const archive = join(work, 'image.cpio');
  makeArchive(archive);
  const by = (name: string, ...words: readonly [string, ...string[]]): Way => ({
    name,
    run: program(archive, ...words),
  });
  const ways: Way[] = [
    by('`cpio -t`', 'cpio', '-t', '--quiet'),
    by('`bsdcpio -it`', 'bsdcpio', '-it', '--quiet'),
    by('`busybox cpio -t`', 'busybox', 'cpio', '-t'),
    { name: '**ours**, in a running process', run: () => inProcess(archive) },
    by('**ours**, `trace image list`', COMMAND, 'image', 'list', archive),
    by('**ours**, the same by Node', process.execPath, TRACE, 'image', 'list', archive),
    by('Node, started to do nothing', process.execPath, '-e', ''),
  ];
  const rows = (await interleaved({ ways, runs })).map((one) => [one.name, ...columns(one)]);
  const size = Math.round(statSync(archive).size / 1e6);
  return `The names of ${sizes().length} entries in ${size} MB, into /dev/null; the archive in memory. Medians of ${runs} interleaved runs. ${machine()}.

${markdownTable([['', 'time', 'speed'], ...rows])}`;
}
