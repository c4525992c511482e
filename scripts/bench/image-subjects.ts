/**
 * The trees of the image benchmarks, with the lists, plans and sessions of all that is in them. Owns
 * their content, which is the same in every run but for the part of this machine's /usr.
 */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { operationBit } from '../../src/common/words.ts';
import { NativeTree } from '../../src/fanotify-ts/tree.ts';
import { parseList } from '../../src/image/list.ts';
import { type ImagePlan, planImage, type SessionFile } from '../../src/image/plan.ts';
import { Store } from '../../src/store/store.ts';

export interface Subject {
  readonly name: string;
  readonly root: string;
  /** A file with the paths of the plan, each ended by a NUL. */
  readonly list: string;
  readonly tree: NativeTree;
  readonly plan: ImagePlan;
  /** Plans the root as it is now. */
  readonly replan: (choices?: { readonly align?: boolean }) => Promise<ImagePlan>;
}

const READ = operationBit('read');
const MOST_BYTES = 150e6;

/** The same sizes in every run: a small linear congruential generator. */
function generator(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

/** About 8,500 entries and 300 MB, sizes spread as in a Debian root. */
export function makeMixed(root: string): void {
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
export function makeSmall(root: string): void {
  const random = generator(2);
  for (let i = 0; i < 20_000; i++)
    write(join(root, `d${i % 200}/file-${i}`), Math.floor(random() * 13_500), random());
}

function write(path: string, size: number, seed: number): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, Buffer.alloc(size, `some content ${seed} `));
}

/** Programs and libraries of this machine: made-up content would compress in no time. */
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

/** Makes the tree `name` in a folder, on disk and in the page cache, and plans all of it. */
export async function prepare(
  folder: string,
  name: string,
  make: (root: string) => void,
): Promise<Subject> {
  const root = join(folder, name);
  mkdirSync(root);
  make(root);
  const list = join(folder, `${name}.list`);
  const found = spawnSync('find', ['.', '-print0'], { cwd: root, maxBuffer: 1 << 30 });
  const files: SessionFile[] = parseList(found.stdout, { nul: true }).map((path) => ({
    path,
    operations: READ,
  }));
  const tree = NativeTree.open(root);
  const replan: Subject['replan'] = (choices) =>
    planImage({ tree, files, mountPoints: [], devices: [], ...choices });
  const plan = await replan();
  const paths = plan.entries.flatMap(({ path }) => [
    path.length === 0 ? Buffer.from('.') : path,
    Buffer.alloc(1),
  ]);
  writeFileSync(list, Buffer.concat(paths));
  spawnSync('sync', ['-f', root]);
  return { name, root, list, tree, plan, replan };
}

export function described({ name, plan }: Subject): string {
  return `${name}: ${plan.entries.length} entries, ${Math.round(plan.bytes / 1e6)} MB`;
}

/** A database whose session-1 has read every path of the subject's plan. */
export function recordSession({ root, plan }: Subject, database: string): void {
  const store = Store.open({ path: database });
  const rootId = store.ensureRoot(Buffer.from(root));
  const at = { atUs: 1e15, firstUs: 1e15, lastUs: 1e15, openedUs: 1e15 };
  const recordingId = store.startRecording({
    rootId,
    label: null,
    clients: [],
    tier: 'exact',
    ...at,
  });
  const session = { id: 1, rootId, recordingId, client: '10.0.0.7', partial: false, ...at };
  store.ingest({
    ...at,
    opened: [{ ...session, evidence: { kind: 'nfs3-mount' } }],
    files: plan.entries.map(({ path }, index) => {
      const place = Buffer.concat([Buffer.from(`${root}/`), path]);
      const { mode, uid, gid, size, mtimeNs, nlink, dev, ino } = statOf(place);
      const handle = Buffer.alloc(8);
      handle.writeUInt32LE(index + 1);
      const numbers = { mode, uid, gid, size, nlink, dev };
      return {
        id: index + 1,
        rootId,
        handle: { type: 1, bytes: handle },
        ...numbers,
        mtimeNs,
        inode: ino,
        names: [path],
      };
    }),
    accesses: plan.entries.map((_, index) => ({
      sessionId: 1,
      fileId: index + 1,
      operations: READ,
      count: 1,
      bytes: 1,
      ...at,
      order: index,
      evidence: 'nfsd' as const,
    })),
    closed: [{ id: 1, reason: 'stop', ...at }],
  });
  store.stopRecording(recordingId, at.lastUs);
  store.close();
}

function statOf(path: Buffer): {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly nlink: number;
  readonly dev: number;
  readonly ino: bigint;
  readonly mtimeNs: bigint;
} {
  const { mtimeNs, ino } = lstatSync(path, { bigint: true });
  const { mode, uid, gid, size, nlink, dev } = lstatSync(path);
  return { mode, uid, gid, size, nlink, dev, ino, mtimeNs };
}
