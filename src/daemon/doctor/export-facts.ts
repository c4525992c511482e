/**
 * What the server's own tables say of each export: who may mount it, under which options, and how
 * its handles name it. Owns what is made of them; pure, given their bytes.
 */
import { parseExportTable } from '../../attribution/handle.ts';
import { compareBytes } from '../../common/bytes.ts';
import { parseEtab, parseKernelExports, type ExportedDirectory } from '../../recording/exports.ts';

const SLASH = 0x2f;
const NOTHING = Buffer.alloc(0);

export interface ExportFacts {
  readonly path: Buffer;
  /** Clients, as exports(5) has them; sorted. */
  readonly domains: readonly string[];
  /** Every option that is on for any of them. */
  readonly options: ReadonlySet<string>;
  /** Kinds of its fsid in file handles in use; empty before the first client. */
  readonly fsidTypes: readonly number[];
}

export interface ExportTables {
  /** /var/lib/nfs/etab: what exportfs has handed over; null if it is not there. */
  readonly etab: Buffer | null;
  /** /proc/net/rpc/nfsd.export/content: what is in use. */
  readonly exports: Buffer | null;
  /** /proc/net/rpc/nfsd.fh/content. */
  readonly handles: Buffer | null;
}

/** Each exported directory once, in bytewise order. The server's pseudo root is none. */
export function exportFacts(tables: ExportTables): ExportFacts[] {
  const lines = [
    ...parseEtab(tables.etab ?? NOTHING),
    ...parseKernelExports(tables.exports ?? NOTHING),
  ].filter((line) => isWhole(line) && !line.options.has('v4root'));
  const keys = tables.handles === null ? [] : parseExportTable(tables.handles);
  const byPath = new Map<string, ExportedDirectory[]>();
  for (const line of lines) {
    const name = line.path.toString('latin1');
    const same = byPath.get(name);
    if (same === undefined) byPath.set(name, [line]);
    else same.push(line);
  }
  return [...byPath.values()]
    .map((same) => {
      const path = same[0]?.path ?? Buffer.alloc(0);
      const types = keys.filter((key) => key.path.equals(path)).map(({ fsidType }) => fsidType);
      return {
        path,
        domains: [...new Set(same.map(({ domain }) => domain))].sort(),
        options: new Set(same.flatMap(({ options }) => [...options, ...unsaid(options)])),
        fsidTypes: [...new Set(types)].sort((a, b) => a - b),
      };
    })
    .sort((a, b) => compareBytes(a.path, b.path));
}

/** The kernel's table says it only by what is missing. */
function unsaid(options: ReadonlySet<string>): string[] {
  return options.has('no_subtree_check') ? [] : ['subtree_check'];
}

/** Whole lines only: anything else in such a table is nothing that a server could export. */
function isWhole({ path, domain }: ExportedDirectory): boolean {
  return path[0] === SLASH && domain !== '';
}

/** By `enum fsid_source` and key_len() of fs/nfsd/nfsfh.h. */
const FSID_KINDS: Readonly<Record<number, string>> = {
  0: 'device number',
  1: 'fsid=N',
  2: 'device number',
  3: 'device number',
  4: 'inode and short UUID',
  5: 'short UUID',
  6: 'UUID',
  7: 'UUID, below its mount point',
};
const BY_DEVICE = new Set([0, 2, 3]);

export function fsidKind(type: number): string {
  return FSID_KINDS[type] ?? `type ${type}`;
}

/** Does the handle change when the disks are found in another order? */
export function isByDevice(type: number): boolean {
  return BY_DEVICE.has(type);
}
