/**
 * What a person is told of an archive that cannot be read. Owns its exit status only.
 */
import { type ExitName, TraceError } from '../common/errors.ts';

const EXITS: Readonly<Record<string, ExitName>> = {
  ENOENT: 'notFound',
  EACCES: 'permission',
  EPERM: 'permission',
};

export function notReadable(
  name: string,
  { code, hint, cause }: { readonly code: string; readonly hint: string; readonly cause: unknown },
): TraceError {
  const { code: errno, message } = cause as NodeJS.ErrnoException;
  return new TraceError({
    code,
    message: `cannot read ${name}: ${message}`,
    hint,
    exit: EXITS[errno ?? ''] ?? 'io',
    cause,
  });
}
