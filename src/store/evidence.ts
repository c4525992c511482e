/**
 * How the evidence of an access is kept: a set of bits (append only).
 */
import type { Evidence } from '../common/words.ts';

const EVIDENCE: readonly Evidence[] = [
  'nfsd',
  'fanotify',
  'sole-client',
  'local',
  'import',
  'atime',
];

export function evidenceBit(evidence: Evidence): number {
  return 1 << EVIDENCE.indexOf(evidence);
}

const known = new Map<number, readonly Evidence[]>();

/** The same list for all that have the same. */
export function evidenceOf(bits: number): readonly Evidence[] {
  let found = known.get(bits);
  if (found === undefined) {
    found = EVIDENCE.filter((_, index) => (bits & (1 << index)) !== 0);
    known.set(bits, found);
  }
  return found;
}
