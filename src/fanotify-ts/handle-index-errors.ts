/**
 * What went wrong with a handle index, in a person's words. Owns the codes and hints of opening; must
 * not know the index.
 */
import { TraceError, type TraceErrorOptions } from '../common/errors.ts';

export function closedError(cause: unknown): TraceError {
  return new TraceError({
    code: 'index-closed',
    message: 'the handle index is not open',
    exit: 'bug',
    cause,
  });
}

export function messageOf(cause: unknown): string {
  return (cause as { readonly message: string }).message;
}

const openErrors: Readonly<Record<number, Pick<TraceErrorOptions, 'code' | 'exit' | 'hint'>>> = {
  1: {
    code: 'root-not-permitted',
    exit: 'permission',
    hint: 'run as root, or give the program CAP_DAC_READ_SEARCH',
  },
  2: { code: 'root-not-found', exit: 'notFound', hint: 'check the path of the root' },
  13: {
    code: 'root-not-permitted',
    exit: 'permission',
    hint: 'run as root, or give the program CAP_DAC_READ_SEARCH',
  },
  20: { code: 'root-not-a-directory', exit: 'notFound', hint: 'name the directory itself' },
  95: {
    code: 'no-file-handles',
    exit: 'config',
    hint:
      'the root must be on a file system that an NFS server can export, e.g. ext4, XFS or btrfs; an ' +
      'overlay must be mounted with index=on,nfs_export=on',
  },
};

export function openError(root: Buffer, cause: unknown): TraceError {
  const errno = (cause as { readonly errno?: number }).errno ?? 0;
  return new TraceError({
    code: 'root-open-failed',
    exit: 'io',
    ...openErrors[errno],
    message: `cannot open the root ${root.toString()}: ${messageOf(cause)}`,
    cause,
  });
}
