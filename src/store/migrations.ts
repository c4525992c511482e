/**
 * Brings a database to the newest schema: plain SQL files, forward only, a copy kept first.
 * Owns `user_version`; must not know what the tables mean.
 */
import { readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Database } from 'better-sqlite3';

/** Two levels up both from the sources and from the built files. */
export const MIGRATIONS = fileURLToPath(new URL('../../migrations', import.meta.url));

export interface Migration {
  readonly version: number;
  readonly path: string;
}

/** The folder's `NNNN_name.sql` files: 1, 2, 3, ... without a gap. */
export function migrationsIn(folder: string): Migration[] {
  const found = readdirSync(folder)
    .filter((name) => /^\d{4}_.*\.sql$/.test(name))
    .sort();
  return found.map((name, index) => {
    const version = Number(name.slice(0, 4));
    if (version !== index + 1)
      throw new Error(`${name} in ${folder} should have the number ${index + 1}`);
    return { version, path: join(folder, name) };
  });
}

export function schemaVersion(db: Database): number {
  return db.pragma('user_version', { simple: true }) as number;
}

/** Where the copy of a database of schema `version` goes. */
function copyPath(path: string, version: number): string {
  return `${path}.v${version}`;
}

/** Runs what is missing, each file in a transaction of its own with its number. */
export function migrate(db: Database, migrations: readonly Migration[]): void {
  const before = schemaVersion(db);
  const missing = migrations.filter(({ version }) => version > before);
  if (missing.length === 0) return;
  if (before > 0) keepCopy(db, before);
  for (const { version, path } of missing)
    db.transaction(() => {
      db.exec(readFileSync(path, 'utf8'));
      db.pragma(`user_version = ${version}`);
    }).immediate();
}

function keepCopy(db: Database, version: number): void {
  const copy = copyPath(db.name, version);
  const partial = `${copy}.partial`;
  rmSync(partial, { force: true });
  db.prepare('VACUUM INTO ?').run(partial);
  renameSync(partial, copy);
}
