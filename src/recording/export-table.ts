/**
 * Every export that the kernel NFS server has had in use: which recorded root it concerns, which
 * mounts below a root are exported, and, for handles of exports elsewhere, an index of those, so
 * that a call elsewhere is told from a call that was lost.
 * Must not know sessions.
 */
import { statSync } from 'node:fs';
import type { BatchTap } from '../capture/batch-tap.ts';
import type { FileHandle } from '../common/batches.ts';
import { TraceError } from '../common/errors.ts';
import { nowUs } from './clock.ts';
import { handleHash, parseExportTable, type ExportKey } from '../attribution/handle.ts';
import { HandleIndex } from '../fanotify-ts/handle-index.ts';
import {
  clientDomains,
  keyByOptions,
  parseEtab,
  parseKernelExports,
  readExportTables,
  type ExportTables,
  type ExportedDirectory,
} from './exports.ts';
import { MountTable, readMountinfo, type Mount, type Place } from './mounts.ts';
import { OutsideExports, openOutsideIndex, type OpenIndex } from './outside-exports.ts';
import { isWithin } from './paths.ts';
import type { RootRecording } from './root-recording.ts';

/** The index's own root. */
const ROOT_ID = 0;

/**
 * What nfsd never serves, whatever covers it: no handles, or nothing that a boot is made of. Looking
 * at an autofs would mount what it stands for; that is another mount then.
 */
const NEVER_EXPORTED = new Set([
  ...['autofs', 'binfmt_misc', 'bpf', 'cgroup', 'cgroup2', 'configfs', 'debugfs', 'devpts'],
  ...['efivarfs', 'fusectl', 'hugetlbfs', 'mqueue', 'nfsd', 'proc', 'pstore', 'rpc_pipefs'],
  ...['securityfs', 'selinuxfs', 'sysfs', 'tracefs'],
]);

/** Where exports are looked up: this machine's kernel, or a recording of another's. */
export interface ExportReader {
  readonly tables: () => ExportTables;
  /** Which domain the kernel took each client for, by address. */
  readonly domains: () => ReadonlyMap<string, string>;
  /** Null for an export whose directory is not there any more: it has no handles either. */
  readonly rootHandle: (path: Buffer) => FileHandle | null;
  readonly openIndex: OpenIndex;
}

interface Export {
  readonly key: ExportKey;
  readonly place: Place;
  readonly rootHandle: FileHandle;
  readonly subtreeCheck: boolean;
  /** Only the way to other exports can be seen in it (the NFSv4 pseudo file system). */
  readonly wayOnly: boolean;
}

export interface ExportTableOptions {
  readonly reader?: ExportReader | undefined;
  readonly roots: ReadonlyMap<number, RootRecording>;
  /** Hears, once for each, of mounts below a root that cannot be recorded although exported. */
  readonly onRefused?: (mount: Mount, error: TraceError) => void;
}

export class ExportTable {
  readonly #options: ExportTableOptions;
  readonly #reader: ExportReader;
  /** By domain and key. An entry stays when the kernel forgets it: clients do not. */
  readonly #exports = new Map<string, Export>();
  readonly #outside: OutsideExports;
  /** Hash of an export's own root directory → its paths, in Latin-1. */
  readonly #rootHashes = new Map<number, Set<string>>();
  readonly #refused = new Set<string>();
  #tables: ExportTables | null = null;
  #mountinfo: Buffer | null = null;
  #mounts: MountTable | null = null;
  /** When mounts were looked at last, monotonic. */
  #lookedUs = nowUs();
  #etab: readonly ExportedDirectory[] = [];
  #generation = 0;
  /** There is a root that has not followed yet, or the last refresh did not come to its end. */
  #behind = false;
  /** Read when it is asked for, at most once between two refreshes. */
  #domains: ReadonlyMap<string, string> | null = null;

  constructor(options: ExportTableOptions) {
    this.#options = options;
    this.#reader = options.reader ?? THIS_MACHINE;
    this.#outside = new OutsideExports((found) => this.#reader.openIndex(found));
  }

  /** Goes up whenever there is something that may explain a hash that nothing explained. */
  get generation(): number {
    return this.#generation;
  }

  /**
   * Reads what is exported and mounted again, and lets the roots follow. Cheap when nothing has
   * changed.
   * @param options.always let the roots follow although nothing has: there is a new one
   * @returns true if there is something new
   */
  async refresh({ always = false }: { readonly always?: boolean } = {}): Promise<boolean> {
    this.#domains = null;
    if (always) this.#behind = true;
    const tables = this.#reader.tables();
    const knownUs = this.#lookedUs;
    this.#lookedUs = nowUs();
    const mountinfo = readMountinfo();
    const before = this.#generation;
    const remounted = this.#mountinfo === null || !this.#mountinfo.equals(mountinfo);
    const exported = this.#tables === null || !sameTables(this.#tables, tables);
    if (!this.#behind && !remounted && !exported) {
      await this.#walkNew();
      return false;
    }
    this.#behind = true;
    if (this.#mounts === null || remounted) this.#mounts = new MountTable(mountinfo);
    this.#tables = tables;
    this.#mountinfo = mountinfo;
    this.#etab = parseEtab(tables.etab);
    this.#readExports(tables, this.#mounts);
    this.#followMounts(this.#mounts, knownUs);
    const used = [...this.#exports.values()].filter(({ wayOnly }) => !wayOnly);
    for (const root of this.#options.roots.values()) root.useExports(used);
    if (this.#outside.size > 0) this.#outside.keep(this.#outsideExports());
    this.#behind = false;
    await this.#walkNew();
    return this.#generation !== before;
  }

  /** Is it known that this hash belongs to another export? */
  isOutside(hash: number): boolean {
    return this.#rootHashes.has(hash) || this.#outside.has(hash);
  }

  /** Does the hash stand for the root directory of an export that `path` lies in? */
  holds(hash: number, path: Buffer): boolean {
    return [...(this.#rootHashes.get(hash) ?? [])].some((exported) =>
      isWithin(path, Buffer.from(exported, 'latin1')),
    );
  }

  /**
   * Can the client reach the root by an export? The same fsid can stand for one directory for one
   * client and another for the next, and a file can be in two roots (a hard link).
   */
  reaches(client: string, root: RootRecording): boolean {
    this.#domains ??= this.#reader.domains();
    const domain = this.#domains.get(client.split('%', 1)[0] ?? client);
    if (domain === undefined) return true;
    for (const { key, place } of this.#exports.values())
      if (key.domain === domain && root.meets(place)) return true;
    return false;
  }

  /** Addresses that the kernel has asked mountd about lately. */
  clients(): Iterable<string> {
    return this.#reader.domains().keys();
  }

  /** Indexes the exports that are not wholly within recorded roots, or does it again. */
  async walkOutside(): Promise<void> {
    await this.#outside.walk(this.#outsideExports());
  }

  /** For a recording of batches: what is known of the exports, and of those outside. */
  record(tap: BatchTap): void {
    tap.exports([...this.#exports.values()]);
  }

  recordOutside(tap: BatchTap): void {
    this.#outside.record(tap);
  }

  close(): void {
    this.#outside.close();
    this.#exports.clear();
  }

  /** What a walk could not list is tried again. */
  async #walkNew(): Promise<void> {
    for (const root of this.#options.roots.values()) await root.walkNew(this.#refuse);
  }

  #readExports(tables: ExportTables, mounts: MountTable): void {
    const exported = parseKernelExports(tables.options);
    // What exportfs handed out last, the kernel's own words over it: exportfs empties the kernel's
    // tables, and a client's calls before that may be looked at only after it.
    const told = [...this.#etab, ...exported];
    const options = new Map(told.map((one) => [idOf(one.domain, one.path), one.options]));
    const listed = parseExportTable(tables.handles);
    const ids = new Set(listed.map(keyIdOf));
    const unlisted = keysByOptions(told, mounts).filter((key) => !ids.has(keyIdOf(key)));
    for (const key of [...listed, ...unlisted]) {
      const id = keyIdOf(key);
      const known = this.#exports.get(id);
      const place = mounts.placeOf(key.path);
      if (place === null) continue;
      const given = options.get(idOf(key.domain, key.path));
      const moved = known === undefined || !samePlace(known, key, place);
      const rootHandle = moved ? this.#reader.rootHandle(key.path) : known.rootHandle;
      if (rootHandle === null) continue;
      const found: Export = {
        key,
        place,
        rootHandle,
        // Options that expired leave it open; what was checked stays so (see ExportHashes).
        subtreeCheck: given === undefined ? (known?.subtreeCheck ?? true) : checksSubtrees(given),
        wayOnly: given === undefined ? (known?.wayOnly ?? false) : given.has('v4root'),
      };
      if (moved || found.subtreeCheck !== known.subtreeCheck || found.wayOnly !== known.wayOnly)
        this.#generation += 1;
      this.#exports.set(id, found);
    }
    this.#rootHashes.clear();
    for (const { key } of this.#exports.values()) {
      const hash = handleHash({ ...key, handle: null });
      const paths = this.#rootHashes.get(hash);
      if (paths === undefined) this.#rootHashes.set(hash, new Set([key.path.toString('latin1')]));
      else paths.add(key.path.toString('latin1'));
    }
  }

  #followMounts(mounts: MountTable, knownUs: number): void {
    const wanted = (mount: Mount): boolean => this.#isExported(mount);
    for (const root of this.#options.roots.values())
      if (root.followMounts(mounts, { wanted, knownUs, refused: this.#refuse }))
        this.#generation += 1;
  }

  readonly #refuse = (mount: Mount, error: TraceError): void => {
    const id = `${mount.id}:${error.message}`;
    if (this.#refused.has(id)) return;
    this.#refused.add(id);
    this.#options.onRefused?.(mount, error);
  };

  /** By itself, or because the export that it is mounted in goes on across mounts. */
  #isExported(mount: Mount): boolean {
    const { at } = mount;
    if (NEVER_EXPORTED.has(mount.type)) return false;
    const byName = this.#etab.some(
      ({ path, options }) =>
        at.equals(path) ||
        (isWithin(at, path) && options.has('crossmnt')) ||
        (isWithin(path, at) && this.#mounts?.placeOf(path)?.mount === mount),
    );
    return byName || [...this.#exports.values()].some(({ place }) => place.mount.id === mount.id);
  }

  /** Those with something in them that no recorded root holds. */
  #outsideExports(): Export[] {
    const roots = [...this.#options.roots.values()];
    return [...this.#exports.values()].filter(
      ({ wayOnly, place }) => !wayOnly && !roots.some((root) => root.covers(place)),
    );
  }
}

/** The keys of exports that the kernel may not have listed yet. */
function keysByOptions(exported: readonly ExportedDirectory[], mounts: MountTable): ExportKey[] {
  const found = new Map<string, { readonly top: boolean; readonly inode: bigint } | null>();
  return exported.flatMap((one) => {
    const path = one.path.toString('latin1');
    let directory = found.get(path);
    if (directory === undefined) found.set(path, (directory = look(one.path, mounts)));
    return directory === null ? [] : (keyByOptions(one, directory) ?? []);
  });
}

/** Null for a directory that is not there any more. */
function look(path: Buffer, mounts: MountTable): { top: boolean; inode: bigint } | null {
  const place = mounts.placeOf(path);
  if (place === null) return null;
  try {
    return { top: place.inner.length === 1, inode: statSync(path, { bigint: true }).ino };
  } catch {
    // Its key comes from the kernel's list, if a client can use it.
    return null;
  }
}

function keyIdOf({ domain, fsid, fsidType }: ExportKey): string {
  return idOf(domain, fsid, fsidType);
}

function idOf(domain: string, bytes: Buffer, type = -1): string {
  return `${type}:${bytes.toString('latin1')}:${domain}`;
}

function sameTables(a: ExportTables, b: ExportTables): boolean {
  return a.handles.equals(b.handles) && a.options.equals(b.options) && a.etab.equals(b.etab);
}

function samePlace(known: Export, key: ExportKey, place: Place): boolean {
  return (
    known.key.path.equals(key.path) &&
    known.place.device === place.device &&
    known.place.inner.equals(place.inner)
  );
}

/** The kernel prints the option only when it is off (expflags in fs/nfsd/export.c). */
function checksSubtrees(options: ReadonlySet<string>): boolean {
  return !options.has('no_subtree_check');
}

function rootHandleOf(path: Buffer): FileHandle | null {
  const index = new HandleIndex({ root: path });
  try {
    index.open();
    return index.handleOf(ROOT_ID);
  } catch (error) {
    if (error instanceof TraceError) return null;
    throw error;
  } finally {
    index.close();
  }
}

const THIS_MACHINE: ExportReader = {
  tables: readExportTables,
  domains: clientDomains,
  rootHandle: rootHandleOf,
  openIndex: openOutsideIndex,
};
