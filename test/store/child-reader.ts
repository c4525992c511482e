/**
 * A program of another user that reads a database: `node child-reader.ts DB MIGRATIONS`.
 * Prints what it saw as JSON. Starts as root so that Node and the modules can be loaded.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TraceError } from '../../src/common/errors.ts';
import { Store } from '../../src/store/store.ts';

const NOBODY = 65_534;

const [path = '', migrations = ''] = process.argv.slice(2);
const warm = mkdtempSync(join(tmpdir(), 'store-test-'));
cpSync(migrations, join(warm, 'migrations'), { recursive: true });
Store.open({ path: join(warm, 'x.db'), migrations }).close();
rmSync(warm, { recursive: true });

process.setgroups?.([]);
process.setgid?.(NOBODY);
process.setuid?.(NOBODY);
try {
  const store = Store.open({ path, migrations, readOnly: true });
  const sessions = store.sessions().map(({ id }) => id);
  const copied = store.path !== path;
  store.close();
  process.stdout.write(JSON.stringify({ sessions, copied }));
} catch (error) {
  if (!(error instanceof TraceError)) throw error;
  process.stdout.write(JSON.stringify({ code: error.code, exit: error.exit }));
}
