/** The words of what a person should know of a session. Pure. */
import type { ClientIdentity, SessionNote } from '../common/boots.ts';

type Note = Pick<SessionNote, 'kind' | 'count' | 'detail'>;

/** Owner names that a note quotes. */
const MOST_QUOTED = 8;

/** @param names owner names behind the address, one for each machine */
export function sharingNote(names: readonly Buffer[]): Note {
  const detail = `${names.length} NFSv4 clients behind one address: ${quoted(names)}`;
  return { kind: 'shared-address', count: names.length, detail };
}

export function collisionNote({ address, ownerName }: ClientIdentity): Note {
  const detail = `${address} uses the same NFSv4 owner name ${quoted([ownerName])}`;
  return { kind: 'identity-collision', count: 1, detail };
}

export function mergedNote(boots: number): Note {
  const detail = 'the client booted too often for a session each time';
  return { kind: 'boots-merged', count: boots, detail };
}

function quoted(names: readonly Buffer[]): string {
  const shown = names.slice(0, MOST_QUOTED).map((name) => JSON.stringify(name.toString('utf8')));
  return shown.join(', ') + (names.length > MOST_QUOTED ? ', ...' : '');
}
