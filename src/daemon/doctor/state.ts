/** The state folder: room for the database, the kind of its file system, and the database itself. */
import { realpathSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { APPLICATION_ID } from '../../store/open-database.ts';
import type { MountTable } from '../../recording/mounts.ts';
import type { Examination } from '../../store/examine.ts';
import { fail, isDenial, megabytes, ok, unseen, warn, type Finding } from './finding.ts';

const LEAST_FREE_BYTES = 256 * 1024 * 1024;
const LEAST_FREE_INODES = 1000;
/** SQLite's write-ahead log needs memory that all users of the file share. */
const REMOTE = new Set(['nfs', 'nfs4', 'cifs', 'smb3', '9p', 'ceph', 'fuse.sshfs', 'glusterfs']);
const GONE_AT_REBOOT = new Set(['tmpfs', 'ramfs']);

export function diskFindings(stateDir: string, mounts: MountTable | null): Finding[] {
  const place = nearest(stateDir);
  if (place === null) return [unseen('disk', stateDir)];
  const later = place === stateDir ? '' : ' (it will be made at the first start)';
  const { bavail, bsize, files, ffree } = statfsSync(place);
  const free = bavail * bsize;
  // btrfs and others have no fixed number of inodes and say 0.
  const inodes = files > 0 ? `, ${ffree} inodes` : '';
  const text = `${megabytes(free)}${inodes} free for ${stateDir}${later}`;
  const short = free < LEAST_FREE_BYTES || (files > 0 && ffree < LEAST_FREE_INODES);
  const room = short
    ? warn('disk', text, 'make room: recording stops writing when the disk is full')
    : ok('disk', text);
  const type =
    mounts?.placeOf(realpathSync.native(place, { encoding: 'buffer' }))?.mount.type ?? 'unknown';
  if (REMOTE.has(type))
    return [
      room,
      fail(
        'state folder',
        `it is on ${type}: a database there is not safe`,
        'name a folder on a local disk with --state-dir',
      ),
    ];
  return GONE_AT_REBOOT.has(type)
    ? [
        room,
        warn(
          'state folder',
          `it is on ${type}: sessions are gone after a reboot`,
          'name a folder on a disk with --state-dir',
        ),
      ]
    : [room];
}

/** The folder, or the nearest above it that is there; null if one of them may not be looked into. */
function nearest(folder: string): string | null {
  try {
    return statSync(folder, { throwIfNoEntry: false }) === undefined
      ? nearest(dirname(folder))
      : folder;
  } catch (error) {
    if (isDenial(error)) return null;
    return nearest(dirname(folder));
  }
}

/** Its size, or why that is not known; null if there is none yet. */
export function databaseSize(path: string): number | 'denied' | null {
  try {
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size === undefined) return null;
    return size + (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0);
  } catch (error) {
    return isDenial(error) ? 'denied' : null;
  }
}

/** @param limitMs how long the examination was given */
export function databaseFinding(
  { found, problems, failure }: Examination,
  {
    path,
    bytes,
    limitMs,
  }: { readonly path: string; readonly bytes: number; readonly limitMs: number },
): Finding {
  const size = `${path}, ${megabytes(bytes)}`;
  if (failure !== null)
    return /unable to open|permission|EACCES|readonly/i.test(failure)
      ? unseen('database', path)
      : fail(
          'database',
          `${size}: ${failure}`,
          'stop the daemon; `trace doctor --repair` saves what can be read',
        );
  if (found === null)
    return warn(
      'database',
      `${size}: it could not be read in half a minute`,
      'the disk is slow, or hangs',
    );
  const { schema, newest, applicationId } = found;
  const text = `${size}, schema ${schema}`;
  if (applicationId !== APPLICATION_ID)
    return fail(
      'database',
      `${size}: it is another program's`,
      'name another folder with --state-dir',
    );
  if (schema > newest)
    return fail(
      'database',
      `${text}, this program knows ${newest}`,
      'use the newer version of the program that wrote it',
    );
  if (problems !== null && problems.length > 0)
    return fail(
      'database',
      `${text}: it is damaged: ${problems[0] ?? ''}`,
      'stop the daemon; `trace doctor --repair` saves what can be read',
    );
  const checked =
    problems === null
      ? `no damage found in ${limitMs / 1000} s, which were not enough for all of it`
      : 'sound (quick_check)';
  return schema < newest
    ? warn('database', `${text}, ${checked}`, `the next start brings it to schema ${newest}`)
    : ok('database', `${text}, ${checked}`);
}
