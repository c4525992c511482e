/** Planning the image of a session of 500 objects, against the libraries that `ldd` finds for them. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { withPlan } from '../../src/daemon/build-image.ts';
import { Store } from '../../src/store/store.ts';
import { machine, markdownTable } from './figures.ts';
import { prepare, recordSession } from './image-subjects.ts';
import { TRACE } from './image-writers.ts';
import { columns, interleaved, type Way } from './interleaved.ts';

const OBJECTS = 500;
const FOLDERS = ['/usr/bin', '/usr/sbin', '/usr/lib/x86_64-linux-gnu', '/usr/lib'];

/** Dynamic programs and libraries of this machine, as many as there are objects. */
function elfFiles(): string[] {
  const found: string[] = [];
  const seen = new Set<number>();
  for (const folder of FOLDERS)
    for (const name of readdirSync(folder).sort()) {
      const path = join(folder, name);
      const { ino } = lstatSync(path);
      if (found.length >= OBJECTS || !lstatSync(path).isFile() || seen.has(ino)) continue;
      if (spawnSync('ldd', [path], { stdio: 'ignore' }).status !== 0) continue;
      seen.add(ino);
      found.push(path);
    }
  return found;
}

/**
 * As lddtree scripts do it that ask the loader: each file by itself, and every library that is
 * found for any of them once.
 */
const BY_LDD = `
while IFS= read -r file; do ldd "$file"; done <"$0" |
  sed -n 's/.* => \\(\\/[^ ]*\\) .*/\\1/p; s/^[[:space:]]*\\(\\/[^ ]*\\) (.*/\\1/p' | sort -u
`;

export async function benchClosure(work: string, runs: number): Promise<string> {
  const files = elfFiles();
  const list = join(work, 'elf.list');
  writeFileSync(list, `${files.join('\n')}\n`);
  const byLdd = (): string[] => {
    const done = spawnSync('bash', ['-c', BY_LDD, list], { maxBuffer: 1 << 26 });
    if (done.status !== 0) throw new Error('ldd failed');
    return done.stdout.toString().split('\n').filter(Boolean);
  };
  const libraries = byLdd();
  // The session has read what ldd was asked for; what they need is only in the root.
  const subject = await prepare(work, 'F', (root) => {
    for (const path of new Set([...files, ...libraries])) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      copyFileSync(path, join(root, path));
    }
  });
  const used = new Set(files.map((path) => path.slice(1)));
  const entries = subject.plan.entries.filter(({ path }) => used.has(path.toString()));
  const database = join(work, 'F.db');
  recordSession({ ...subject, plan: { ...subject.plan, entries } }, database);
  const store = Store.open({ path: database });
  let planned = 0;
  const ways: Way[] = [
    {
      name: '`ldd` for each, one after the other',
      run: () => {
        byLdd();
        return undefined;
      },
    },
    {
      name: '**ours**, in a running process: session, closure, plan',
      run: () =>
        withPlan({ store, expression: '1', acceptLoss: false, choices: {} }, ({ plan }) => {
          planned = plan.entries.length;
          const paths = new Set(plan.entries.map(({ path }) => `/${path.toString()}`));
          const lacking = libraries.filter((path) => !paths.has(path));
          if (lacking.length > 0) throw new Error(`not in the plan: ${lacking.join(' ')}`);
        }),
    },
    {
      name: '**ours**, `trace export --format list`: a process with all it does',
      run: () => {
        const args = [TRACE, 'export', '1', '--db', database, '--format', 'list', '-o', '-'];
        const done = spawnSync(process.execPath, args, { maxBuffer: 1 << 26 });
        if (done.status !== 0) throw new Error(`trace export failed: ${done.stderr.toString()}`);
        return undefined;
      },
    },
  ];
  const measured = await interleaved({ ways, runs });
  store.close();
  subject.tree.close();
  return (
    `A session of ${files.length} programs and libraries of this machine, which need ` +
    `${libraries.length} libraries; the plan has ${planned} entries. ` +
    `Medians of ${runs} interleaved runs. ${machine()}.\n\n` +
    markdownTable([['', 'time', 'speed'], ...measured.map((one) => [one.name, ...columns(one)])])
  );
}
