/**
 * The kprobe event on the NFS server's fh_verify(), for kernels without nfsd_fh_verify: which file
 * handle is checked, as bytes. Owns our group in tracefs: what is created there, what a killed
 * daemon left there, and that nobody else's probes are touched. Must not know what becomes of the
 * records (native/nfsd).
 */
import {
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs';
import { TraceError, type TraceErrorOptions } from '../common/errors.ts';

const GROUP = 'nfsroot_trace';

/** Made beforehand by somebody who may, for daemons that may not: `trace prepare`. */
export const PREPARED_PROBE = 'fhv';

/** A daemon's own: its process number and a running number. */
const OWN = /^fhv_(\d+)_\d+$/;

let running = 0;

/** A name that no other daemon uses. */
export function ownProbeName(): string {
  running += 1;
  return `${PREPARED_PROBE}_${process.pid}_${running}`;
}

/**
 * `struct svc_fh`, the second argument, begins with the handle: its size, then 128 bytes, the most
 * that NFS has (5.10 to 7.3). Words of 8 bytes are fetched in 16 steps where bytes would take 128.
 * At the return only failures matter; up to 1024 calls may be inside at once (a server has fewer
 * threads), since a probe without room is silent.
 */
function definitions(name: string): [string, string] {
  return [
    `p:${GROUP}/${name} nfsd:fh_verify fsz=+0($arg2):u32 raw=+4($arg2):x64[16] type=$arg3:x16 access=$arg4:x32`,
    `r1024:${GROUP}/${name}_ret nfsd:fh_verify ret=$retval:x32`,
  ];
}

/** Is the event, with its partner at the return, there? */
export function hasProbe(tracefs: string, name: string): boolean {
  return [name, `${name}_ret`].every((event) => isThere(tracefs, event));
}

function isThere(tracefs: string, event: string): boolean {
  return exists(`${tracefs}/events/${GROUP}/${event}/format`);
}

/** Why this process could not create the event; null if it could. Changes nothing. */
export function whyNoProbe(tracefs: string): string | null {
  try {
    closeSync(openKprobeEvents(tracefs));
    return null;
  } catch (error) {
    return reasonOf(error as NodeJS.ErrnoException);
  }
}

/**
 * Creates the event; that it is there already is as good. The nfsd module must be loaded: 5.10
 * refuses `$argN` of a function that is not there yet.
 * @throws TraceError `no-kprobe`
 */
export function createProbe(tracefs: string, name: string): void {
  const halves = [name, `${name}_ret`].filter((event) => isThere(tracefs, event));
  if (halves.length === 2) return;
  // Whoever set it up was killed half-way.
  if (halves.length === 1) removeProbe(tracefs, name);
  try {
    for (const definition of definitions(name)) define(tracefs, definition);
  } catch (cause) {
    removeProbe(tracefs, name);
    const error = cause as NodeJS.ErrnoException;
    throw new TraceError({
      code: 'no-kprobe',
      message: `cannot put a kprobe event on fh_verify: ${reasonOf(error)}`,
      hint: 'as root: trace prepare',
      exit: EXITS[error.code ?? ''] ?? 'io',
      cause,
    });
  }
}

/** One that is there already, since somebody reads it and it could not be removed, is as good. */
function define(tracefs: string, definition: string): void {
  try {
    command(tracefs, definition);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** `busy`: a daemon reads it. `kept`: this process may not remove it. */
export function removeProbe(tracefs: string, name: string): 'removed' | 'absent' | 'busy' | 'kept' {
  let outcome: 'removed' | 'absent' | 'busy' | 'kept' = 'absent';
  for (const event of [`${name}_ret`, name]) {
    try {
      command(tracefs, `-:${GROUP}/${event}`);
      if (outcome === 'absent') outcome = 'removed';
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Not there, or kprobes are not there at all.
      if (code === 'ENOENT') continue;
      outcome = code === 'EBUSY' ? 'busy' : 'kept';
    }
  }
  return outcome;
}

/** How often the kernel could not run the probe or its partner since they were created. */
export function missedBy(tracefs: string, name: string): number {
  let profile: string;
  try {
    profile = readFileSync(`${tracefs}/kprobe_profile`, 'latin1');
  } catch {
    return 0;
  }
  return [...profile.matchAll(/^\s*(\S+)\s+\d+\s+(\d+)\s*$/gm)].reduce(
    (sum, [, event, misses]) =>
      event === name || event === `${name}_ret` ? sum + Number(misses) : sum,
    0,
  );
}

/** Removes what daemons left behind that were killed; tells how many events. */
export function removeLeftovers(tracefs: string): number {
  let events: string[];
  try {
    events = readdirSync(`${tracefs}/events/${GROUP}`);
  } catch {
    return 0;
  }
  return events.filter((event) => {
    const pid = OWN.exec(event)?.[1];
    return (
      pid !== undefined && !exists(`/proc/${pid}`) && removeProbe(tracefs, event) === 'removed'
    );
  }).length;
}

/** By stat(2): access(2) drops the capabilities of a process without root. */
function exists(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

/** Without O_TRUNC, which would remove everybody's probes. */
function openKprobeEvents(tracefs: string): number {
  return openSync(`${tracefs}/kprobe_events`, constants.O_WRONLY | constants.O_APPEND);
}

/** The kernel takes each definition, or refuses it, in the write that brings it. */
function command(tracefs: string, text: string): void {
  const fd = openKprobeEvents(tracefs);
  try {
    writeSync(fd, `${text}\n`);
  } finally {
    closeSync(fd);
  }
}

/** What has no kprobe events, or no nfsd, is no failure; all else is one. */
const EXITS: Readonly<Record<string, TraceErrorOptions['exit']>> = {
  ENOENT: 'unavailable',
  EINVAL: 'unavailable',
  EACCES: 'permission',
  EPERM: 'permission',
  EROFS: 'permission',
};

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'ENOENT':
      return 'the kernel has no kprobe events (CONFIG_KPROBE_EVENTS), or nfsd no fh_verify';
    case 'EINVAL':
      return 'the kernel refuses it; the nfsd module must be loaded';
    case 'EACCES':
    case 'EPERM':
      return 'only root may, and not on a locked-down kernel';
    case 'EROFS':
      return 'tracefs is mounted read-only';
    case 'ENOMEM':
      return 'the kernel has no memory for it';
    default:
      return message;
  }
}
