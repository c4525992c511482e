/**
 * Other owners than the root's own. Owns how the choices apply, and the warning that goes with
 * them. Must not know users' names: those of the root are its own, those of the server mean nothing.
 */
import type { IdChange, ImageChoices } from './choices.ts';
import type { Problem } from './plan-types.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export type OwnerChange = (owner: Owner) => Owner;

/** Each number is looked up once, so that 1000:0 and 0:1000 together swap. */
export function ownerChange({ owners = [], groups = [], allRoot }: ImageChoices): OwnerChange {
  if (allRoot === true) return () => ({ uid: 0, gid: 0 });
  const [users, teams] = [tableOf(owners), tableOf(groups)];
  return ({ uid, gid }) => ({ uid: users.get(uid) ?? uid, gid: teams.get(gid) ?? gid });
}

function tableOf(changes: readonly IdChange[]): Map<number, number> {
  return new Map(changes.map(({ from, to }) => [from, to]));
}

type Owned = Owner & {
  readonly path: Buffer;
  readonly type: string;
  readonly mode: number;
  readonly stat: Owner | null;
};

/** Changes that find nothing to change, and set-id programs that run as somebody else. */
export function ownerProblems(
  entries: readonly Owned[],
  { owners = [], groups = [] }: ImageChoices,
): Problem[] {
  const [users, teams] = [new Set([0]), new Set([0])];
  for (const { stat } of entries) {
    if (stat === null) continue;
    users.add(stat.uid);
    teams.add(stat.gid);
  }
  const idle = [
    ...owners.filter(({ from }) => !users.has(from)).map(({ from }) => `user ${from}`),
    ...groups.filter(({ from }) => !teams.has(from)).map(({ from }) => `group ${from}`),
  ];
  return [
    ...idle.map((whom) => ({
      code: 'owner-without-effect',
      message: `nothing in the image belongs to ${whom}`,
      hint: 'give the numbers that the root has, as `ls -ln` shows them, or leave that out',
    })),
    ...setIdProblems(entries),
  ];
}

function setIdProblems(entries: readonly Owned[]): Problem[] {
  const changed = entries.filter(
    ({ type, mode, uid, gid, stat }) =>
      type === 'file' &&
      stat !== null &&
      (((mode & 0o4000) !== 0 && uid !== stat.uid) ||
        ((mode & 0o2010) === 0o2010 && gid !== stat.gid)),
  );
  const [first] = changed;
  if (first === undefined) return [];
  return [
    {
      code: 'set-id-owner',
      message: `${changed.length} set-id programs have another owner in the image, the first is /${first.path.toString()}`,
      hint: 'they run with the rights of that owner; leave their owner as it is if that is not wanted',
    },
  ];
}
