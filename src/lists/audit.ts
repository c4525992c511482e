/**
 * Reads the log of Linux's audit system: one event is several records (SYSCALL, CWD, PATH, ...) with
 * one serial number, which may come mixed with others'. Owns the joining.
 */
import { getSystemErrorMap } from 'node:util';
import {
  creates,
  doneTo,
  failedWith,
  FILE_CALLS,
  type Done,
  type FileCall,
  type NamedPath,
  type Outcome,
} from './file-calls.ts';
import { callOf, flagsOf } from './audit-calls.ts';
import { resolve, wholePath, type Process } from './place.ts';
import { Processes } from './processes.ts';
import type { ListReader, Sink } from './use.ts';

/**
 * As auditd writes it, and as the kernel does without one (`audit: type=1302 audit(...): ...`); before
 * it may come `node=NAME`, or the time and the host of the system's log.
 */
const RECORD = /^(?:.*? )??type=(\S+) (?:msg=)?audit\((\d+)\.(\d{3}):(\d+)\): ?([^]*)$/;
/** What ausearch puts between events. */
const BETWEEN = /^(?:----|time->.*)$/;
/** A record whose name the writer does not know. */
const NUMBERED = /^(?:UNKNOWN\[)?(\d{4})\]?$/;
/** linux/audit.h. */
const TYPES: Readonly<Record<string, string>> = {
  1300: 'SYSCALL',
  1302: 'PATH',
  1307: 'CWD',
  1320: 'EOE',
  1327: 'PROCTITLE',
  1337: 'OPENAT2',
};
/** The last record of an event: EOE where it is logged, PROCTITLE elsewhere. */
const LAST = new Set(['EOE', 'PROCTITLE']);
/** Events that are being put together; records of one come close to each other. */
const MOST_OPEN = 1024;
const MOST_PATHS = 64;
/** Processes that have ended, and some records of which may still come. */
const MOST_ENDED = 1024;
/** linux/openat2.h: the directory is the root of the path. */
const RESOLVE_IN_ROOT = 0x10;
const AT_FDCWD = /^(?:f{8})?ffffff9c$/;

interface AuditPath {
  readonly name: Buffer;
  /** Empty in logs of old kernels, which do not tell it. */
  readonly nametype: string;
}

interface AuditEvent {
  readonly atUs: number;
  call: Readonly<Record<string, string>> | null;
  cwd: Buffer | null;
  /** openat2(2) took the directory for the path's root. */
  inRoot: boolean;
  readonly paths: AuditPath[];
}

export class AuditReader implements ListReader {
  readonly #sink: Sink;
  readonly #events = new Map<string, AuditEvent>();
  readonly #processes = new Processes();
  /** When they ended, microseconds: another thread's last call may be told after that. */
  readonly #ended = new Map<string, number>();

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  static matches(line: string): boolean {
    return RECORD.test(line) || BETWEEN.test(line);
  }

  read(line: Buffer): void {
    if (line.length === 0) return;
    const text = line.toString('latin1');
    const [, written, seconds, millis, serial, rest] = RECORD.exec(text) ?? [];
    if (written === undefined || serial === undefined || rest === undefined) {
      if (BETWEEN.test(text)) this.#sink.pass('no-path');
      else this.#sink.refuse('not-understood');
      return;
    }
    const type = TYPES[NUMBERED.exec(written)?.[1] ?? ''] ?? written;
    const key = `${seconds ?? ''}.${millis ?? ''}:${serial}`;
    if (LAST.has(type)) {
      this.#sink.pass('no-path');
      this.#finish(key);
      return;
    }
    const atUs = Number(`${seconds ?? ''}${millis ?? ''}000`);
    const event = this.#events.get(key) ?? newEvent(atUs);
    if (!this.#take(event, type, rest)) return;
    this.#events.set(key, event);
    const [oldest] = this.#events.keys();
    if (this.#events.size > MOST_OPEN && oldest !== undefined) this.#finish(oldest);
  }

  end(): void {
    for (const key of [...this.#events.keys()]) this.#finish(key);
  }

  /** False if the record is of no event that names files. */
  #take(event: AuditEvent, type: string, rest: string): boolean {
    const fields = fieldsOf(rest);
    if (type === 'SYSCALL') event.call = fields;
    else if (type === 'OPENAT2') event.inRoot = resolvesInRoot(fields['resolve']);
    else if (type === 'CWD') event.cwd = bytesOf(fields['cwd']);
    else if (type === 'PATH') {
      const name = bytesOf(fields['name']);
      // The call names none.
      if (fields['name'] === '(null)') this.#sink.pass('no-path');
      else if (name === null || event.paths.length >= MOST_PATHS)
        this.#sink.refuse('not-understood');
      else event.paths.push({ name, nametype: fields['nametype'] ?? '' });
      return true;
    } else {
      this.#sink.pass('no-path');
      return false;
    }
    this.#sink.pass('no-path');
    return true;
  }

  #finish(key: string): void {
    const event = this.#events.get(key);
    this.#events.delete(key);
    if (event === undefined) return;
    const { pid = '', ppid = '' } = event.call ?? {};
    if (event.atUs > (this.#ended.get(pid) ?? Infinity)) this.#forget(pid);
    const process = this.#processes.of(pid, ppid);
    const cwd = event.cwd === null ? null : { path: event.cwd, chroot: process.chroot };
    this.#processes.change(process, { cwd });
    for (const [at, path] of event.paths.entries()) this.#path(event, process, { at, ...path });
    this.#follow(event, process);
    if (callIn(event) === 'exit_group') this.#end(pid, event.atUs);
  }

  /** Its number may be another's from now on. */
  #end(pid: string, atUs: number): void {
    this.#ended.set(pid, atUs);
    const [oldest] = this.#ended.keys();
    if (this.#ended.size > MOST_ENDED && oldest !== undefined) this.#forget(oldest);
  }

  #forget(pid: string): void {
    this.#ended.delete(pid);
    this.#processes.end(pid);
  }

  #follow(event: AuditEvent, process: Process): void {
    if (outcomeOf(event.call) !== 'done') return;
    const name = callIn(event);
    if (name === 'pivot_root') this.#processes.change(process, { lost: 'gone' });
    if (name !== 'chroot') return;
    const [first] = event.paths;
    const place = first === undefined ? null : resolve(process, first.name);
    const chroot = place === null ? null : wholePath(place);
    this.#processes.change(process, { chroot, lost: chroot === null ? 'gone' : null });
  }

  #path(
    event: AuditEvent,
    process: Process,
    { at, name, nametype }: AuditPath & { readonly at: number },
  ): void {
    const { call, atUs, inRoot } = event;
    const outcome = outcomeOf(call);
    // The directory of what is made or removed; where a link that is made leads.
    if (nametype === 'PARENT' || (nametype === 'UNKNOWN' && outcome === 'done')) {
      this.#sink.pass('no-path');
      return;
    }
    const about = aboutOf(event, { at, outcome });
    // Relative to a directory that the call has open: the log does not say which.
    const untold = about?.paths.some((path) => isOfDescriptor(event, path)) ?? false;
    const place = inRoot ? null : resolve(process, name, untold ? null : undefined);
    const done = doneBy(event, { at, nametype, outcome, about });
    if (place !== null) this.#sink.use({ ...place, ...done, atUs });
    else if (outcome === 'not-there') this.#sink.pass('no-path');
    else this.#sink.refuse('unknown-directory');
  }
}

/** What one record is about, of a call that is known. */
interface About {
  readonly call: FileCall;
  readonly named: NamedPath;
  /** Which of the call's paths it may be. */
  readonly paths: readonly NamedPath[];
}

/** Of a call with two paths, which one a record is about. */
const OF_TYPE: Readonly<Record<string, string>> = { CREATE: 'create', DELETE: 'remove' };

function aboutOf(
  event: AuditEvent,
  { at, outcome }: { readonly at: number; readonly outcome: Outcome },
): About | null {
  const call = FILE_CALLS.get(callIn(event) ?? '');
  const [first, ...others] = call?.paths ?? [];
  if (call === undefined || first === undefined) return null;
  const types = event.paths.slice(0, at + 1).map(({ nametype }) => nametype);
  const type = types.pop() ?? '';
  const found = call.paths.find(({ operation }) => operation === OF_TYPE[type]);
  const named = found ?? first;
  // rename(2) removes the old name, then what had the new one.
  if (type === 'DELETE' && types.includes('DELETE'))
    return { call, named, paths: others.length > 0 ? others : [first] };
  const told = found !== undefined || (outcome === 'done' && type !== '');
  return { call, named, paths: told ? [named] : call.paths };
}

function doneBy(
  event: AuditEvent,
  {
    at,
    nametype,
    outcome,
    about,
  }: {
    readonly at: number;
    readonly nametype: string;
    readonly outcome: Outcome;
    readonly about: About | null;
  },
): Done {
  if (about === null || (nametype === '' && mayBeParent(event, about, at)))
    return {
      ...{ operations: 0, follow: OF_TYPE[nametype] === undefined, created: false },
      there: outcome === 'done' || outcome === 'unknown' || outcome === 'there',
    };
  const { call, named, paths } = about;
  const how = { flags: flagsOf(call, event.call ?? {}), outcome };
  const done = doneTo(call, named, how);
  return {
    ...done,
    // link(2) and rename(2) make names too, of files that were there.
    created: done.created && nametype === 'CREATE',
    there: paths.every((path) => doneTo(call, path, how).there),
  };
}

/**
 * What a call makes or removes is the name itself, if a record is not about its directory; that one
 * comes first, where open(2) makes a file.
 */
function mayBeParent(event: AuditEvent, { call, named }: About, at: number): boolean {
  if (Object.values(OF_TYPE).includes(named.operation)) return true;
  const opens = creates(call, flagsOf(call, event.call ?? {}));
  return opens && at === 0 && event.paths.length > 1;
}

function outcomeOf(call: AuditEvent['call']): Outcome {
  if (call === null) return 'unknown';
  if (call['success'] !== 'no') return 'done';
  const exit = call['exit'] ?? '';
  if (exit === '-2' || exit === '-20' || /ENOENT|ENOTDIR/.test(exit)) return 'not-there';
  const [named] = /^E[A-Z]+/.exec(exit) ?? getSystemErrorMap().get(Number(exit)) ?? [];
  return failedWith(named ?? '');
}

function callIn({ call }: AuditEvent): string | undefined {
  return call === null ? undefined : callOf(call);
}

function isOfDescriptor(event: AuditEvent, { directory }: NamedPath): boolean {
  return directory !== undefined && !AT_FDCWD.test(event.call?.[`a${directory}`] ?? '');
}

function newEvent(atUs: number): AuditEvent {
  return { atUs, call: null, cwd: null, inRoot: false, paths: [] };
}

/** `0x10`; what cannot be read may be anything. */
function resolvesInRoot(how: string | undefined): boolean {
  const bits = Number(how);
  return !Number.isSafeInteger(bits) || (bits & RESOLVE_IN_ROOT) !== 0;
}

/** `key=value key="va lue"`; a group separator comes before what auditd has translated. */
function fieldsOf(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [, key = '', value = ''] of text.matchAll(/(?<![\w-])([\w-]+)=("[^"]*"|[^\s\x1d]*)/g))
    found[key] ??= value;
  return found;
}

/** A name is quoted, or hexadecimal if anything odd is in it; null if there is none. */
function bytesOf(value: string | undefined): Buffer | null {
  if (value === undefined) return null;
  if (value.startsWith('"')) return Buffer.from(value.slice(1, -1), 'latin1');
  return /^(?:[0-9A-Fa-f]{2})+$/.test(value) ? Buffer.from(value, 'hex') : null;
}
