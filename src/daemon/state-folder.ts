/**
 * Whose the state folder is. Root could write in anybody's, but what it makes there (database, lock,
 * log) is root's, and the folder's owner, the service, could write no more. Owns that refusal.
 */
import { statSync } from 'node:fs';
import { TraceError } from '../common/errors.ts';

/** @throws TraceError `state-dir-owner` (exit 77) before anything is made in another user's folder */
export function checkStateFolder(stateDir: string): void {
  // Whoever is not root fails by himself in a folder that is not his.
  if (process.geteuid?.() !== 0) return;
  const found = statSync(stateDir, { throwIfNoEntry: false });
  if (found === undefined || found.uid === 0) return;
  throw new TraceError({
    code: 'state-dir-owner',
    message: `the state folder ${stateDir} belongs to user ${found.uid}, and the daemon would run as root`,
    hint: 'start the service: systemctl start nfsroot-trace; or name another folder with --state-dir',
    exit: 'permission',
  });
}
