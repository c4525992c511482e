/**
 * The words that every room uses for what was seen and how it is known.
 * Owns the operation bits (stored in the database: append only).
 */
export const OPERATIONS = [
  'lookup',
  'getattr',
  'access',
  'readlink',
  'read',
  'readdir',
  'write',
  'create',
  'remove',
  'setattr',
] as const;

export type Operation = (typeof OPERATIONS)[number];

/** The bit of one operation in an access row's operation set. */
export function operationBit(operation: Operation): number {
  return 1 << OPERATIONS.indexOf(operation);
}

/** The operations in a bit set, in the order of {@link OPERATIONS}. */
export function operationsOf(bits: number): Operation[] {
  return OPERATIONS.filter((_, index) => (bits & (1 << index)) !== 0);
}

/** How well a client's accesses could be attributed, best first. */
export const TIERS = ['exact+names', 'exact', 'reads', 'sole-client'] as const;
export type Tier = (typeof TIERS)[number];

/** Who gives a session that no client's traffic makes: a command that was traced, or a list. */
export const GIVERS = ['local', 'import'] as const;
export type Giver = (typeof GIVERS)[number];

/** How a session's accesses are known. A session that was given has its giver here. */
export const SESSION_TIERS = [...TIERS, ...GIVERS] as const;
export type SessionTier = (typeof SESSION_TIERS)[number];

/**
 * How an access is known. `atime` is the weakest: an access time that lies in a loss, of a file that
 * nothing else accounts for.
 */
export type Evidence = 'nfsd' | 'fanotify' | 'sole-client' | 'local' | 'import' | 'atime';
