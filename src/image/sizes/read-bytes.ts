/**
 * How many bytes of each file a session read. Owns how rows of one file go together. Must not know
 * what follows from it.
 */
import { operationBit } from '../../common/words.ts';
import type { SessionFile } from '../plan-types.ts';
import { fromBytes, type Resolver } from '../resolve.ts';

const READ = operationBit('read');

/**
 * By path without links; what was read without a count is not there. At most so many different
 * bytes: what is read twice counts twice.
 */
export function readBytes(
  files: readonly SessionFile[],
  resolver: Resolver,
): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const { path: recorded, operations, bytesRead } of files) {
    if ((operations & READ) === 0) continue;
    const { path } = resolver.resolve('', fromBytes(recorded), false);
    if (path !== null) found.set(path, (found.get(path) ?? 0) + (bytesRead ?? NaN));
  }
  return new Map([...found].filter(([, bytes]) => !Number.isNaN(bytes)));
}
