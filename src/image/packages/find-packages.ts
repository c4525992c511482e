/**
 * Which package each file of an image belongs to, by the root's own databases, read as data and as
 * the client would find them. Owns where databases are and how much of them is read. Must not
 * change what is in an image.
 *
 * A root may be hostile: nothing here grows with more than the bytes that are read, and what is too
 * much, odd or of another kind is told.
 */
import { RootFiles } from '../needs/root-files.ts';
import { parentOf, type Resolver } from '../resolve.ts';
import type { Tree } from '../tree.ts';
import { readInstalled } from './apk.ts';
import { divert, type Diversion, listedFiles, parseDiversions, parseStatus } from './dpkg.ts';
import { byName, type Distribution, type Package } from './package.ts';
import { claimRpm } from './rpm.ts';
import { MOST_DATABASE, RpmDatabase, UnsoundDatabase } from './rpm-database.ts';

export interface PackageSearch {
  readonly tree: Tree;
  readonly resolver: Resolver;
  /** Paths without links on their way, byte strings. */
  readonly paths: ReadonlySet<string>;
}

export interface PackagesFound {
  /** By path; what is not there belongs to no package. */
  readonly owners: ReadonlyMap<string, Package>;
  readonly distribution: Distribution;
  /** What could not be used of databases: files of them may look as if no package had them. */
  readonly unread: readonly { readonly path: string; readonly why: string }[];
}

/** A machine with 3,000 packages has a status of 5 MB, and lists of 20 MB in all. */
const MOST_STATUS = 32 << 20;
const MOST_LIST = 16 << 20;
const MOST_LISTS = 64 << 20;
const MOST_DIRECTORIES = 100_000;
/** PATH_MAX. */
const MOST_PATH = 4096;

const APK = ['usr/lib/apk/db/installed', 'lib/apk/db/installed'];
const DPKG = 'var/lib/dpkg';
const RPM = ['usr/lib/sysimage/rpm', 'var/lib/rpm'];
/** What rpm had before SQLite. */
const OLDER_RPM = { Packages: 'Berkeley DB', 'Packages.db': 'ndb' } as const;

/** Throws what the tree throws. */
export function findPackages({ tree, resolver, paths }: PackageSearch): PackagesFound {
  const files = new RootFiles(resolver, tree);
  const owners = new Owners(resolver, paths);
  readDpkg(files, owners);
  readApk(files, owners);
  readRpm(files, owners);
  if (owners.tooMany)
    files.skip(DPKG, `packages in over ${MOST_DIRECTORIES} directories; the rest was not read`);
  return {
    owners: owners.found,
    distribution: readDistribution(files),
    unread: files.skipped(),
  };
}

/** Takes claims on paths as databases have them, with links on the way. The first one counts. */
class Owners {
  readonly found = new Map<string, Package>();
  tooMany = false;
  readonly #resolver: Resolver;
  readonly #paths: ReadonlySet<string>;
  readonly #names: ReadonlySet<string>;
  readonly #directories = new Map<string, string | null>();

  constructor(resolver: Resolver, paths: ReadonlySet<string>) {
    this.#resolver = resolver;
    this.#paths = paths;
    this.#names = new Set([...paths].map(nameOf));
  }

  /** Quick, so that most lines of a list cost nothing. */
  wants(path: string): boolean {
    return this.#names.has(nameOf(path));
  }

  claim(path: string, owner: Package): void {
    if (path.length > MOST_PATH || !this.wants(path)) return;
    const directory = this.#directory(parentOf(path));
    if (directory === null) return;
    const name = nameOf(path);
    const real = directory === '' ? name : `${directory}/${name}`;
    if (this.#paths.has(real) && !this.found.has(real)) this.found.set(real, owner);
  }

  #directory(path: string): string | null {
    let real = this.#directories.get(path);
    if (real === undefined) {
      if (this.#directories.size >= MOST_DIRECTORIES) {
        this.tooMany = true;
        return null;
      }
      // With its slash the resolver keeps nothing of a path in its own memory.
      real = this.#resolver.resolve('', `/${path}`, true).path;
      this.#directories.set(path, real);
    }
    return real;
  }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function readDpkg(files: RootFiles, owners: Owners): void {
  const path = files.file(`${DPKG}/status`);
  const status = path === null ? null : files.whole(path, MOST_STATUS);
  if (path === null || status === null) return;
  const { packages, odd } = parseStatus(status.toString('latin1'));
  if (odd > 0) files.skip(path, `${odd} stanzas are not dpkg's`);
  const diversions = readDiversions(files);
  let left = MOST_LISTS;
  for (const one of [...packages].sort(byName)) {
    const { name, architecture } = one;
    const list =
      files.file(`${DPKG}/info/${name}:${architecture}.list`) ??
      files.file(`${DPKG}/info/${name}.list`);
    if (list === null) continue;
    const text = files.whole(list, Math.min(MOST_LIST, left));
    if (text === null) continue;
    left -= text.length;
    for (const line of listedFiles(text.toString('latin1')))
      if (owners.wants(line) || diversions.has(line))
        owners.claim(divert(line, one, diversions).slice(1), one);
  }
}

function readDiversions(files: RootFiles): ReadonlyMap<string, Diversion> {
  const path = files.file(`${DPKG}/diversions`);
  const text = path === null ? null : files.whole(path, MOST_LIST);
  return parseDiversions(text?.toString('latin1') ?? '');
}

function readApk(files: RootFiles, owners: Owners): void {
  const path = APK.map((one) => files.file(one)).find((one) => one !== null);
  const text = path === undefined ? null : files.whole(path, MOST_LISTS);
  if (path === undefined || text === null) return;
  const odd = readInstalled(text.toString('latin1'), (file, owner) => {
    owners.claim(file, owner);
  });
  if (odd > 0) files.skip(path, `${odd} blocks are not apk's`);
}

function readRpm(files: RootFiles, owners: Owners): void {
  const path = firstOf(files, 'rpmdb.sqlite');
  if (path === null) {
    for (const [name, kind] of Object.entries(OLDER_RPM)) {
      const older = firstOf(files, name);
      if (older !== null) files.skip(older, `a database of rpm in the older format ${kind}`);
    }
    return;
  }
  const log = files.file(`${path}-wal`);
  if (log !== null && (files.resolver.lstat(log)?.size ?? 0) > 0)
    files.skip(log, 'changes that rpm has not put into its database yet');
  const bytes = files.whole(path, MOST_DATABASE);
  if (bytes === null) return;
  try {
    const odd = RpmDatabase.with(bytes, (database) => claimRpm(database, owners));
    if (odd > 0) files.skip(path, `${odd} packages are not rpm's`);
  } catch (error) {
    if (!(error instanceof UnsoundDatabase)) throw error;
    files.skip(path, `not a sound database of rpm: ${error.message}`);
  }
}

function firstOf(files: RootFiles, name: string): string | null {
  return RPM.map((folder) => files.file(`${folder}/${name}`)).find((one) => one !== null) ?? null;
}

const WORD = /^[a-z0-9._-]{1,60}$/;

/** os-release(5), of which no shell is run. */
function readDistribution(files: RootFiles): Distribution {
  const path = ['etc/os-release', 'usr/lib/os-release']
    .map((one) => files.file(one))
    .find((one) => one !== null);
  const text = path === undefined ? '' : (files.whole(path)?.toString('latin1') ?? '');
  const value = (name: string): string | null => {
    const [, found = ''] = new RegExp(`^${name}=["']?([^"'\\s]*)["']?\\s*$`, 'm').exec(text) ?? [];
    return WORD.test(found) ? found : null;
  };
  return { id: value('ID'), version: value('VERSION_ID') };
}
