/** Owners of files that no account is for. Owns the reading of /etc/passwd and /etc/group. */
import { type Fault, type Linted, note } from './fault.ts';

export interface Accounts {
  /** Name → number. */
  readonly users: ReadonlyMap<string, number>;
  readonly groups: ReadonlyMap<string, number>;
}

/** Far larger than that of any image. */
const MOST_TABLE = 4 << 20;

export function readAccounts({ files }: Linted): Accounts {
  const table = (path: string): Map<string, number> =>
    new Map(
      files.lines(path, MOST_TABLE).flatMap((line) => {
        const [name = '', , id = ''] = line.split(':');
        return name !== '' && /^\d+$/.test(id) ? [[name, Number(id)] as const] : [];
      }),
    );
  return { users: table('etc/passwd'), groups: table('etc/group') };
}

export function* accountFaults({ image }: Linted, accounts: Accounts): Generator<Fault> {
  const kinds = [
    ['unknown-user', 'user', 'uid', '/etc/passwd', accounts.users],
    ['unknown-group', 'group', 'gid', '/etc/group', accounts.groups],
  ] as const;
  for (const [code, what, key, table, known] of kinds) {
    const ids = new Set([0, ...known.values()]);
    const strangers = new Map<number, { first: string; count: number }>();
    for (const [path, node] of image.kernelTree.entries()) {
      if (ids.has(node[key])) continue;
      const found = strangers.get(node[key]);
      if (found === undefined) strangers.set(node[key], { first: path, count: 1 });
      else found.count++;
    }
    for (const [id, { first, count }] of [...strangers].sort(([a], [b]) => a - b))
      yield note(
        code,
        first,
        `${count} entries belong to ${what} ${id}, this one first, and ${table} has none of that number`,
      );
  }
}
