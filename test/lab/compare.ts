/**
 * Holds a recorded session against the independent reference of the same time.
 * Owns what counts as missing. Pure.
 */
import { namesOf, type SessionFile } from './product.ts';
import type { ReferenceObject } from './reference-trace.ts';

export interface Comparison {
  /** Objects that the server verified for the client and the session does not have. */
  readonly missing: string[];
  /** Handles of the reference that no file of the root has. */
  readonly unresolved: string[];
  /** Objects of the session that the server never verified for the client. */
  readonly extra: string[];
  /** Objects whose reads, link reads or bytes differ, with both sides. */
  readonly different: string[];
  /** How many objects agree to exist on both sides. */
  readonly objects: number;
}

/** Handle of the NFSv4 pseudo root (fsid=0, no file part): no file of the root under test. */
const PSEUDO_ROOT = 0x62d40c52;

export function compare(
  files: readonly SessionFile[],
  reference: ReadonlyMap<number, ReferenceObject>,
  names: ReadonlyMap<number, readonly Buffer[]>,
): Comparison {
  const byName = new Map<string, SessionFile>();
  const unseen = new Set<SessionFile>(files);
  for (const file of files) for (const name of namesOf(file)) byName.set(name, file);
  const result: Comparison = {
    missing: [],
    unresolved: [],
    extra: [],
    different: [],
    objects: files.length,
  };
  for (const [hash, object] of reference) {
    if (hash === PSEUDO_ROOT) continue;
    const name = names.get(hash)?.[0]?.toString('latin1');
    if (name === undefined) {
      result.unresolved.push(hash.toString(16));
      continue;
    }
    const file = byName.get(name);
    if (file === undefined) {
      result.missing.push(name);
      continue;
    }
    unseen.delete(file);
    const ours = [
      file.operations.includes('read'),
      file.operations.includes('readlink'),
      file.bytes,
    ].join();
    const theirs = [object.reads + object.opens > 0, object.readlinks > 0, object.bytes].join();
    if (ours !== theirs) result.different.push(`${name}: session ${ours}, reference ${theirs}`);
  }
  for (const file of unseen) result.extra.push(namesOf(file)[0] ?? '(no name)');
  return result;
}
