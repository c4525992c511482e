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

export function evidenceOf(bits: number): Evidence[] {
  return EVIDENCE.filter((_, index) => (bits & (1 << index)) !== 0);
}
