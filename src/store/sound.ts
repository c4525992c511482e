/**
 * What a row must be to be ours. A database is a file that anybody may hand to anybody: what is read
 * from it is checked before it is believed, paths above all. Pure.
 */
import { BOOT_EVIDENCE, type BootEvidence } from '../common/boots.ts';
import { SESSION_TIERS } from '../common/words.ts';
import { DamagedRow } from './errors.ts';

/** An empty, `.` or `..` part, a slash at either end, or a NUL. */
const ODD_PATH = /(?:^|\/)\.{0,2}(?:\/|$)|\0/;
/** The last moment that a Date can hold, microseconds. */
const LAST_US = 8_640_000_000_000_000_000;

/** @throws DamagedRow for a path that is not one below the root, or the root's own, empty one */
export function soundPath(path: Buffer): void {
  if (path.length > 0 && ODD_PATH.test(path.toString('latin1')))
    throw new DamagedRow(`${JSON.stringify(path.toString())} is no path below a root`);
}

/** @throws DamagedRow */
export function soundSession(row: {
  readonly id: number;
  readonly tier: string;
  readonly evidence: string;
  readonly openedUs: number;
  readonly lastUs: number;
  readonly closedUs: number | null;
}): void {
  const times = [row.openedUs, row.lastUs, row.closedUs ?? 0];
  if (
    !(SESSION_TIERS as readonly string[]).includes(row.tier) ||
    !(BOOT_EVIDENCE as readonly string[]).includes(row.evidence) ||
    times.some((us) => Math.abs(us) > LAST_US)
  )
    throw new DamagedRow(`session-${row.id} holds what no recorder writes`);
}

/** @throws DamagedRow */
export function soundEvidence(kind: string, detail: string | null): BootEvidence {
  const known = BOOT_EVIDENCE.find((word) => word === kind);
  if (known === undefined) throw new DamagedRow(`${JSON.stringify(kind)} is no boot evidence`);
  if (detail === null) return { kind: known };
  return { kind: known, detail: soundJson(detail) as NonNullable<BootEvidence['detail']> };
}

/** @throws DamagedRow */
export function soundJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new DamagedRow(`${JSON.stringify(text)} is no JSON`);
  }
}
