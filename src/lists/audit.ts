/**
 * Reads the log of Linux's audit system: one event is several records (SYSCALL, CWD, PATH, ...) with
 * one serial number, which may come mixed with others'. Owns the joining.
 */
import { doneTo, FILE_CALLS, type Outcome } from './file-calls.ts';
import { callOf, flagsOf } from './audit-calls.ts';
import { Processes, resolve, wholePath, type Process } from './processes.ts';
import type { ListedUse, ListReader, Sink } from './use.ts';

/** `node=NAME` comes before it if logs of several machines were gathered. */
const RECORD = /^(?:node=\S+ )?type=(\S+) msg=audit\((\d+)\.(\d{3}):(\d+)\): ?([^]*)$/;
/** The last record of an event: EOE where it is logged, PROCTITLE elsewhere. */
const LAST = new Set(['EOE', 'PROCTITLE']);
/** Events that are being put together; records of one come close to each other. */
const MOST_OPEN = 1024;
const MOST_PATHS = 64;
const AT_FDCWD = /^(?:f{8})?ffffff9c$/;

interface AuditPath {
  readonly name: Buffer;
  readonly nametype: string;
}

interface AuditEvent {
  readonly atUs: number;
  call: Readonly<Record<string, string>> | null;
  cwd: Buffer | null;
  readonly paths: AuditPath[];
}

export class AuditReader implements ListReader {
  readonly #sink: Sink;
  readonly #events = new Map<string, AuditEvent>();
  readonly #processes = new Processes();

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  static matches(line: string): boolean {
    return RECORD.test(line);
  }

  read(line: Buffer): void {
    if (line.length === 0) return;
    const [, type, seconds, millis, serial, rest] = RECORD.exec(line.toString('latin1')) ?? [];
    if (type === undefined || serial === undefined || rest === undefined) {
      this.#sink.refuse('not-understood');
      return;
    }
    const key = `${seconds ?? ''}.${millis ?? ''}:${serial}`;
    if (LAST.has(type)) {
      this.#sink.pass('no-path');
      this.#finish(key);
      return;
    }
    const atUs = Number(`${seconds ?? ''}${millis ?? ''}000`);
    const event = this.#events.get(key) ?? { atUs, call: null, cwd: null, paths: [] };
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
    else if (type === 'CWD') event.cwd = bytesOf(fields['cwd']);
    else if (type === 'PATH') {
      const name = bytesOf(fields['name']);
      // The call names none.
      if (fields['name'] === '(null)') this.#sink.pass('no-path');
      else if (name === null || event.paths.length >= MOST_PATHS)
        this.#sink.refuse('not-understood');
      else event.paths.push({ name, nametype: fields['nametype'] ?? 'UNKNOWN' });
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
    const process = this.#processes.of(pid, ppid);
    process.cwd = event.cwd === null ? null : { path: event.cwd, chroot: process.chroot };
    for (const path of event.paths) this.#path(event, process, path);
    const [first] = event.paths;
    if (first === undefined || callIn(event) !== 'chroot' || outcomeOf(event.call) !== 'done')
      return;
    const place = resolve(process, first.name);
    if (place !== null) process.chroot = wholePath(place);
  }

  #path(event: AuditEvent, process: Process, { name, nametype }: AuditPath): void {
    const { call, atUs } = event;
    const outcome = outcomeOf(call);
    // The directory of what is made or removed; where a link that is made leads.
    if (nametype === 'PARENT' || (nametype === 'UNKNOWN' && outcome === 'done')) {
      this.#sink.pass('no-path');
      return;
    }
    const done = this.#done(event, nametype, outcome);
    // Relative to a directory that the call has open: the log does not say which.
    const place = resolve(process, name, isOfDescriptor(event) ? null : undefined);
    if (place !== null) this.#sink.use({ ...place, ...done, atUs });
    else if (outcome === 'not-there') this.#sink.pass('no-path');
    else this.#sink.refuse('unknown-directory');
  }

  #done(
    event: AuditEvent,
    nametype: string,
    outcome: Outcome,
  ): Pick<ListedUse, 'operations' | 'follow' | 'created'> {
    const known = FILE_CALLS.get(callIn(event) ?? '');
    const [first] = known?.paths ?? [];
    const created = nametype === 'CREATE' && outcome === 'done';
    if (known === undefined || first === undefined)
      return { operations: 0, follow: !created, created };
    const named = known.paths.find(({ operation }) => operation === OF_TYPE[nametype]) ?? first;
    const done = doneTo(known, named, { flags: flagsOf(known, event.call ?? {}), outcome });
    return { ...done, created };
  }
}

/** Of a call with two paths, which one a record is about. */
const OF_TYPE: Readonly<Record<string, string>> = { CREATE: 'create', DELETE: 'remove' };

function outcomeOf(call: AuditEvent['call']): Outcome {
  if (call === null) return 'unknown';
  if (call['success'] !== 'no') return 'done';
  const exit = call['exit'] ?? '';
  return exit === '-2' || exit === '-20' || /ENOENT|ENOTDIR/.test(exit) ? 'not-there' : 'refused';
}

function callIn({ call }: AuditEvent): string | undefined {
  return call === null ? undefined : callOf(call);
}

function isOfDescriptor(event: AuditEvent): boolean {
  const directory = FILE_CALLS.get(callIn(event) ?? '')?.paths[0]?.directory;
  return directory !== undefined && !AT_FDCWD.test(event.call?.[`a${directory}`] ?? '');
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
