/**
 * What the kernel NFS server exports, read from its own tables.
 * Owns the reading of /proc/net/rpc and etab; must not know sessions or SQL.
 */
import { readFileSync } from 'node:fs';
import { parseExportTable, type ExportKey } from '../attribution/handle.ts';

const FH_TABLE = '/proc/net/rpc/nfsd.fh/content';
const ETAB = '/var/lib/nfs/etab';

function readIfThere(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // EIO and EINVAL are how a sunrpc cache answers while its module comes or goes.
    if (code === 'ENOENT' || code === 'EIO' || code === 'EINVAL') return null;
    throw error;
  }
}

/** Every export in use now: an entry appears with the first client and may expire again. */
export function exportsInUse(): ExportKey[] {
  const table = readIfThere(FH_TABLE);
  return table === null ? [] : parseExportTable(table);
}

/** Undoes etab's octal escapes (`\040` is a blank). */
function unescapeOctal(field: Buffer): Buffer {
  const text = field.toString('latin1');
  return Buffer.from(
    text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8))),
    'latin1',
  );
}

/** Directories that exportfs has handed to the kernel, in use or not. */
export function exportedDirectories(): Buffer[] {
  const etab = readIfThere(ETAB);
  return etab === null ? [] : parseEtab(etab);
}

/** The directories of an etab: a line for each (directory, client), a tab between them. */
export function parseEtab(etab: Buffer): Buffer[] {
  return etab
    .toString('latin1')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => unescapeOctal(Buffer.from(line.split('\t', 1)[0] ?? '', 'latin1')));
}

/** Is `inner` the directory `outer` or below it? Both absolute and normalised. */
export function isWithin(inner: Buffer, outer: Buffer): boolean {
  if (inner.equals(outer)) return true;
  const prefix = outer.length === 1 ? outer : Buffer.concat([outer, Buffer.from('/')]);
  return inner.subarray(0, prefix.length).equals(prefix);
}
