/**
 * One object of a session as the search for sweeps sees it. Owns the shape, and what its operations
 * and its times say. Must not know paths' meaning or how sweeps are found.
 */
import { operationBit } from '../../common/words.ts';

export interface Touch {
  /** Byte strings (resolve.ts); several for a hard-linked file, at least one. */
  readonly names: readonly string[];
  readonly type: 'directory' | 'file' | 'symlink' | 'other';
  /** Bits of src/common/words.ts. */
  readonly operations: number;
  /** What READs and WRITEs moved, again what was read again. */
  readonly bytes: number;
  readonly size: number;
  readonly firstUs: number;
  readonly lastUs: number;
  /** The session itself made it. */
  readonly created: boolean;
}

const LOOKED = operationBit('lookup') | operationBit('getattr') | operationBit('access');
const READDIR = operationBit('readdir');
const READ = operationBit('read');
const READLINK = operationBit('readlink');
const CHANGED =
  operationBit('create') | operationBit('remove') | operationBit('write') | operationBit('setattr');

/** Only an NFSv3 client's own GETATTR is told as such; of NFSv4 it comes out as `access`. */
const GETATTR = operationBit('getattr');

const only = ({ operations }: Touch, bits: number): boolean => (operations & ~bits) === 0;

export const isListed = ({ type, operations }: Touch): boolean =>
  type === 'directory' && (operations & READDIR) !== 0;
export const isRead = ({ type, operations }: Touch): boolean =>
  type === 'file' && (operations & READ) !== 0;
export const isChanged = ({ operations }: Touch): boolean => (operations & CHANGED) !== 0;
export const isAskedByV3 = ({ operations }: Touch): boolean => (operations & GETATTR) !== 0;

/** A directory that was listed, and no more. */
export const isOnlyListed = (touch: Touch): boolean =>
  isListed(touch) && only(touch, LOOKED | READDIR);
/** Neither listed nor opened; of a link also where it leads. */
export const isOnlyLookedAt = (touch: Touch): boolean =>
  touch.type !== 'directory' && only(touch, touch.type === 'symlink' ? LOOKED | READLINK : LOOKED);
/** Read, at most once from its beginning to its end, and no more. */
export const isOnlyRead = (touch: Touch): boolean =>
  isRead(touch) && only(touch, LOOKED | READ) && touch.bytes <= touch.size;
