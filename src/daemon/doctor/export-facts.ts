/**
 * What the server's own tables say of each export: who may mount it, under which options, and how
 * its handles name it. Owns the reading of those tables' lines; pure, given their bytes.
 */
import { decodeKernelEscapes, parseExportTable } from '../../attribution/handle.ts';
import { compareBytes } from '../../common/bytes.ts';

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

interface Line {
  readonly path: Buffer;
  readonly domain: string;
  readonly options: readonly string[];
}

/** Each exported directory once, in bytewise order. The server's pseudo root is none. */
export function exportFacts(tables: ExportTables): ExportFacts[] {
  const lines = [...linesOf(tables.etab), ...linesOf(tables.exports)].filter(
    ({ options }) => !options.includes('v4root'),
  );
  const keys = tables.handles === null ? [] : parseExportTable(tables.handles);
  const byPath = new Map<string, Line[]>();
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
        options: new Set(same.flatMap(({ options }) => options)),
        fsidTypes: [...new Set(types)].sort((a, b) => a - b),
      };
    })
    .sort((a, b) => compareBytes(a.path, b.path));
}

/** Lines of `path<TAB>domain(option,option)`; those that are not valid now begin with `#`. */
function linesOf(table: Buffer | null): Line[] {
  if (table === null) return [];
  return table
    .toString('latin1')
    .split('\n')
    .flatMap((line) => {
      const tab = line.indexOf('\t');
      const bracket = line.indexOf('(', tab);
      if (!line.startsWith('/') || tab < 0 || bracket < 0) return [];
      const field = (text: string): Buffer => decodeKernelEscapes(Buffer.from(text, 'latin1'));
      const options = line.slice(bracket + 1, line.lastIndexOf(')')).split(',');
      return {
        path: field(line.slice(0, tab)),
        domain: field(line.slice(tab + 1, bracket)).toString('utf8'),
        // The kernel's table says it only by what is missing.
        options: [
          ...(options.includes('no_subtree_check') || options.includes('subtree_check')
            ? []
            : ['subtree_check']),
          ...options.map((option) => field(option).toString('utf8')),
        ],
      };
    });
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
