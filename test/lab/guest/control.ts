/**
 * Runs in the lab's server: asks the daemon for several things from one process, since each start
 * of a program costs seconds in emulation. Prints what it answers, one JSON value a line.
 *
 *     control.ts start ROOT...     starts recordings
 *     control.ts settle FILE       a copy of the database with all that happened up to now; status
 */
import Sqlite from 'better-sqlite3';
import { ControlClient } from '../../../src/daemon/control-client.ts';
import { databasePath, DEFAULT_PLACES } from '../../../src/daemon/places.ts';

const [what = '', ...rest] = process.argv.slice(2);
const client = new ControlClient(DEFAULT_PLACES);
const say = (answer: unknown): boolean => process.stdout.write(`${JSON.stringify(answer)}\n`);

if (what === 'start') {
  for (const root of rest)
    say(await client.start({ root: Buffer.from(root), label: null, clients: [] }));
} else {
  await client.mark('settled');
  const database = new Sqlite(databasePath(DEFAULT_PLACES), { readonly: true });
  database.prepare('VACUUM INTO ?').run(rest[0]);
  database.close();
  say(await client.status());
}
