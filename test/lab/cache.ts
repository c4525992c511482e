/**
 * Things that take long to build are built once and kept outside the repository.
 * Owns the cache folder: what is in it is whole (built aside, then renamed), belongs to the inputs
 * named in its digest, and is built by one process at a time.
 * Must not know what is built.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';

export interface Recipe {
  /** Name of the artifact, unique in the lab. */
  readonly name: string;
  /** Everything that decides what the artifact is: texts, package lists, versions. */
  readonly inputs: readonly (string | Buffer)[];
  /** Fills the given empty folder. */
  readonly build: (folder: string) => Promise<void>;
}

/** Versions that nobody used for this long are removed when a newer one is built. */
const KEEP_MS = 24 * 3600 * 1000;

/** The lab's cache folder: `$NFSROOT_TRACE_CACHE/lab` or `~/.cache/nfsroot-trace/lab`. */
export function cacheFolder(): string {
  const configured = process.env['NFSROOT_TRACE_CACHE'];
  const base =
    configured !== undefined && configured !== ''
      ? configured
      : path.join(homedir(), '.cache', 'nfsroot-trace');
  return path.resolve(base, 'lab');
}

/**
 * The folder of a built artifact, built first if it is missing or its inputs have changed.
 * `say` is told before a build starts.
 */
export async function ensure(recipe: Recipe, say: (text: string) => void): Promise<string> {
  const folder = path.join(cacheFolder(), `${recipe.name}-${digestOf(recipe.inputs)}`);
  if (await isFolder(folder)) return touch(folder);
  await mkdir(cacheFolder(), { recursive: true });
  const release = await lock(path.join(cacheFolder(), `${recipe.name}.lock`));
  try {
    if (await isFolder(folder)) return await touch(folder);
    const started = Date.now();
    say(`building ${recipe.name} (kept in ${folder})`);
    const work = await mkdtemp(path.join(cacheFolder(), `building-${recipe.name}-`));
    try {
      await recipe.build(work);
      await rename(work, folder);
    } catch (cause) {
      await rm(work, { recursive: true, force: true });
      throw cause;
    }
    say(`built ${recipe.name} in ${((Date.now() - started) / 1000).toFixed(1)} s`);
    await removeOld(recipe.name, folder);
    return folder;
  } finally {
    release();
  }
}

function digestOf(inputs: readonly (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const input of inputs) {
    const bytes = Buffer.from(input);
    hash.update(`${bytes.length}:`).update(bytes);
  }
  return hash.digest('hex').slice(0, 12);
}

async function isFolder(name: string): Promise<boolean> {
  return stat(name).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

async function touch(folder: string): Promise<string> {
  const now = new Date();
  await utimes(folder, now, now);
  return folder;
}

/** Other versions of one artifact, and builds of it that were killed, if long unused. */
async function removeOld(name: string, current: string): Promise<void> {
  const pattern = new RegExp(`^(building-${name}-.{6}|${name}-[0-9a-f]{12})$`);
  for (const entry of await readdir(cacheFolder())) {
    const folder = path.join(cacheFolder(), entry);
    if (!pattern.test(entry) || folder === current) continue;
    const { mtimeMs } = await stat(folder);
    if (Date.now() - mtimeMs > KEEP_MS) await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Takes an exclusive lock and returns its release. flock(1) holds it in a child whose standard
 * input is ours, so the kernel lets go of it however this process ends.
 */
async function lock(file: string): Promise<() => void> {
  const child = spawn('flock', ['-x', file, 'sh', '-c', 'echo held; cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`flock ${file} ended with ${String(code)}`)));
    child.stdout.once('data', () => resolve());
  });
  return () => child.stdin.end();
}
