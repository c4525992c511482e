/**
 * Which operation a row of the NFS server's trace stands for. Pure; owns the NFSD_MAY_* bits
 * (fs/nfsd/vfs.h) and the reading of them.
 */
import type { NfsRow } from '../common/batches.ts';
import type { Operation } from '../common/words.ts';

/** What the server asks permission for; the bits of `access` in nfsd_fh_verify. */
export const NFSD_MAY = {
  EXEC: 0x1,
  WRITE: 0x2,
  READ: 0x4,
  SATTR: 0x8,
  TRUNC: 0x10,
  LOCK: 0x20,
  OWNER_OVERRIDE: 0x40,
  BYPASS_GSS_ON_ROOT: 0x100,
  READ_IF_EXEC: 0x800,
} as const;

const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;

/**
 * The operation of one trace row.
 *
 * Two readings cannot be told apart and take the wider word: a v4 PUTFH asks for nothing (type 0,
 * no bits), as a v3 ACCESS does, and a directory that is read for a name asks for what a LOOKUP
 * asks for. A v3 RENAME asks both directories for CREATE's and REMOVE's bits, so it comes out as
 * a `create` and a `remove`.
 */
export function operationOf(row: Pick<NfsRow, 'kind' | 'type' | 'access'>): Operation {
  if (row.kind === 'read') return 'read';
  if (row.kind === 'write') return 'write';
  const { type, access } = row;
  const asks = (bit: number) => (access & bit) !== 0;
  if (type === S_IFLNK) return 'readlink';
  if (asks(NFSD_MAY.SATTR)) return 'setattr';
  if (type === S_IFDIR) {
    // NFSD_MAY_CREATE = EXEC|WRITE, NFSD_MAY_REMOVE = EXEC|WRITE|TRUNC.
    if (asks(NFSD_MAY.WRITE)) return asks(NFSD_MAY.TRUNC) ? 'remove' : 'create';
    if (asks(NFSD_MAY.READ)) return 'readdir';
    return asks(NFSD_MAY.EXEC) ? 'lookup' : 'getattr';
  }
  if (asks(NFSD_MAY.WRITE)) return 'write';
  if (asks(NFSD_MAY.READ)) return 'read';
  return asks(NFSD_MAY.BYPASS_GSS_ON_ROOT) ? 'getattr' : 'access';
}
