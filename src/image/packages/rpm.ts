/** Claims of rpm's packages on files. Owns their order. Must not know where a database is. */
import { byName, type Package } from './package.ts';
import type { RpmDatabase } from './rpm-database.ts';
import { RpmHeader } from './rpm-header.ts';

export interface Claims {
  /** Quick; goes by the last name of a path alone. */
  wants(path: string): boolean;
  /** Takes a relative byte string; of several claims on a path the first counts. */
  claim(path: string, owner: Package): void;
}

/**
 * Goes twice through all headers, since all of them at once are nearly the whole database.
 * @returns how many packages are not sound or too many; throws for a database that is not sound
 */
export function claimRpm(database: RpmDatabase, claims: Claims): number {
  const { ids, more } = database.ids();
  let odd = more ? 1 : 0;
  const owners = new Map<bigint, Package>();
  for (const { id, bytes } of database.headers(ids)) {
    const owner = bytes === null ? null : RpmHeader.parse(bytes)?.package();
    if (owner) owners.set(id, owner);
    else odd++;
  }
  const sorted = [...owners].sort(([, a], [, b]) => byName(a, b));
  for (const { id, bytes } of database.headers(sorted.map(([id]) => id))) {
    const [owner, header] = [owners.get(id), bytes && RpmHeader.parse(bytes)];
    if (!owner || !header || !claimFiles(header, owner, claims)) odd++;
  }
  return odd;
}

function claimFiles(header: RpmHeader, owner: Package, claims: Claims): boolean {
  for (const file of header.files()) {
    if (file === null) return false;
    const { directory, name } = file;
    if (directory.startsWith('/') && claims.wants(name))
      claims.claim(`${directory}${name}`.slice(1), owner);
  }
  return true;
}
