/**
 * Trace records for the tests: those of real servers (6.1: recorded on Debian's 6.1.192, see
 * docs/nfsd-trace.md; the others by test/lab/record-fixture.ts) and made-up ones, built after the
 * same kernels' format files.
 */
import { readdirSync, readFileSync } from 'node:fs';
import {
  nfsdAddon,
  type NativePlan,
  type ParsedTraceFormat,
} from '../../src/capture/nfsd-binding.ts';
import { decodeNfsBatch } from '../../src/capture/nfsd-decode.ts';
import type { NfsBatch } from '../../src/common/batches.ts';

/** Kernels whose records are in test/fixtures; all but 6.1 with the kprobe's. */
export type FixtureKernel = '5.10' | '6.1' | '6.12' | '7.x';

const FOLDER = new URL('../fixtures/nfsd-6.1/', import.meta.url);

/** The text of a fixture kernel's format files by event name, less some. */
export function kernelFormats(
  without: readonly string[] = [],
  kernel: FixtureKernel = '6.1',
): Record<string, string> {
  const folder = new URL(`../nfsd-${kernel}/formats/`, FOLDER);
  return Object.fromEntries(
    readdirSync(folder)
      .map((file) => file.replace('.format', ''))
      .filter((event) => !without.includes(event))
      .map((event) => [event, readFileSync(new URL(`${event}.format`, folder), 'utf8')]),
  );
}

/** Packed records as the real server's rings gave them. */
export function recorded(name: 'v3' | 'v4.2' | 'identity'): Buffer {
  return readFileSync(new URL(`${name}.records`, FOLDER));
}

/**
 * The same recording as the kernel's own text trace of another instance told it, joined to clients
 * by (thread, xid) of svc_process: [client, hash, kind, type, access, count, bytes].
 */
export function textTrace(): [string, number, string, number, number, number, number][] {
  return JSON.parse(readFileSync(new URL('text-trace.json', FOLDER), 'utf8')) as [
    string,
    number,
    string,
    number,
    number,
    number,
    number,
  ][];
}

export interface InterpretOptions {
  readonly formats?: Readonly<Record<string, string>>;
  readonly tableLimit?: number;
  readonly beganUs?: number;
  readonly plan?: Partial<NativePlan>;
}

/** Each buffer of packed records becomes one drained batch. */
export function interpret(records: readonly Buffer[], options: InterpretOptions = {}): NfsBatch[] {
  return nfsdAddon
    .interpretNfsdRecords(
      options.formats ?? kernelFormats(),
      records,
      options.tableLimit ?? 65536,
      options.beganUs ?? 0,
      { best: 'exact+names', probe: '', preferProbe: false, noHashes: false, ...options.plan },
    )
    .map((batch) => decodeNfsBatch(batch));
}

const parsed = new Map<string, ParsedTraceFormat>();

function formatOf(event: string, kernel: FixtureKernel): ParsedTraceFormat {
  const key = `${kernel} ${event}`;
  let format = parsed.get(key);
  if (format === undefined) {
    format = nfsdAddon.parseTraceFormat(kernelFormats([], kernel)[event] ?? '');
    parsed.set(key, format);
  }
  return format;
}

/** A packed record of `event` on thread `tid` at `atUs`. Byte fields take a Buffer or a string. */
export function record(
  event: string,
  tid: number,
  atUs: number,
  fields: Readonly<Record<string, number | string | Buffer>>,
  kernel: FixtureKernel = '6.1',
): Buffer {
  const format = formatOf(event, kernel);
  const fixed = Buffer.alloc(Math.max(...format.fields.map(({ offset, size }) => offset + size)));
  const dynamic: Buffer[] = [];
  let end = fixed.length;
  const values: Record<string, number | string | Buffer> = {
    common_type: format.id,
    common_pid: tid,
    ...fields,
  };
  for (const [name, value] of Object.entries(values)) {
    const field = format.fields.find((candidate) => candidate.name === name);
    if (field === undefined) throw new Error(`${event} has no field ${name}`);
    if (typeof value === 'number') {
      if (field.size === 8) fixed.writeBigUInt64LE(BigInt(value), field.offset);
      else fixed.writeUIntLE(value >>> 0, field.offset, field.size);
      continue;
    }
    const bytes = typeof value === 'string' ? Buffer.from(`${value}\0`) : value;
    if (field.place === 'inline') {
      bytes.copy(fixed, field.offset, 0, field.size);
      continue;
    }
    fixed.writeUInt32LE(((bytes.length << 16) | end) >>> 0, field.offset);
    dynamic.push(bytes);
    end += bytes.length;
  }
  const raw = Buffer.concat([fixed, ...dynamic]);
  const head = Buffer.alloc(16);
  head.writeUInt32LE(raw.length, 0);
  head.writeBigUInt64LE(BigInt(atUs) * 1000n, 8);
  return Buffer.concat([head, raw]);
}

/** A struct sockaddr_in with a port. */
export function sockaddr4(address: string, port = 702): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(2, 0);
  bytes.writeUInt16BE(port, 2);
  address.split('.').forEach((part, index) => bytes.writeUInt8(Number(part), 4 + index));
  return bytes;
}

/** A struct sockaddr_in6 of 16 address bytes. */
export function sockaddr6(address: string, scope = 0): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt16LE(10, 0);
  Buffer.from(address, 'hex').copy(bytes, 8);
  bytes.writeUInt32LE(scope, 24);
  return bytes;
}
