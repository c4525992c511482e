/**
 * An independent reading of what the NFS server did: text lines of a private tracefs instance,
 * joined to the client by (thread, xid), and handles named by a walk of the root in perl.
 * Owns that instance. It shares no code with the product, which it is there to check.
 */
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { GUEST_SHARE, VICTIM_ROOT, type LabServer } from './server.ts';

/** What one client did to one object. */
export interface ReferenceObject {
  /** CRC-32 of the NFS file handle. */
  readonly hash: number;
  /** How often a handle of this hash was verified for this client. */
  verified: number;
  /** Bytes that READs of it returned. */
  bytesRead: number;
  reads: number;
  readlinks: number;
}

/** By client address, then by hash. */
export type ReferenceTrace = ReadonlyMap<string, ReadonlyMap<number, ReferenceObject>>;

const INSTANCE = '/sys/kernel/tracing/instances/lab-reference';
const EVENTS = ['sunrpc/svc_process', 'nfsd/nfsd_fh_verify', 'nfsd/nfsd_read_io_done'];
/** A boot is about 3 MB of binary records; the rest is head-room. */
const BUFFER_KB_PER_CPU = 24_576;

export class ReferenceRecorder {
  readonly #server: LabServer;

  constructor(server: LabServer) {
    this.#server = server;
  }

  async start(): Promise<void> {
    const enable = EVENTS.map((event) => `echo 1 > ${INSTANCE}/events/${event}/enable`);
    await this.#server.must(
      [
        'set -e',
        `mkdir -p ${INSTANCE}`,
        `echo ${BUFFER_KB_PER_CPU} > ${INSTANCE}/buffer_size_kb`,
        `echo 0 > ${INSTANCE}/options/overwrite`,
        ...enable,
        `echo 1 > ${INSTANCE}/tracing_on`,
      ].join('\n'),
    );
  }

  /** What has been seen since the start or the last take, which is then forgotten. */
  async take(): Promise<ReferenceTrace> {
    const name = 'reference-trace.txt';
    const outside = path.join(this.#server.share, name);
    const stats = await this.#server.must(
      [
        'set -e',
        `echo 0 > ${INSTANCE}/tracing_on`,
        `cat ${INSTANCE}/per_cpu/cpu*/stats`,
        `cat ${INSTANCE}/trace > /run/${name}`,
        `echo > ${INSTANCE}/trace`,
        `echo 1 > ${INSTANCE}/tracing_on`,
        `cp /run/${name} ${GUEST_SHARE}/${name}`,
        `rm /run/${name}`,
      ].join('\n'),
      { timeoutMs: 120_000 },
    );
    for (const [line, count] of stats.matchAll(
      /^(?:overrun|commit overrun|dropped events): (\d+)$/gm,
    )) {
      if (Number(count) !== 0) throw new Error(`the reference trace itself is not whole: ${line}`);
    }
    const text = await readFile(outside, 'latin1');
    await rm(outside);
    return parseReferenceTrace(text);
  }

  async stop(): Promise<void> {
    await this.#server.must(`rmdir ${INSTANCE}`);
  }
}

/** Joins the lines of `trace` (one instance, text form of Linux 6.1). */
export function parseReferenceTrace(text: string): ReferenceTrace {
  const clients = new Map<string, Map<number, ReferenceObject>>();
  const calls = new Map<string, { xid: string; client: string }>();
  for (const line of text.split('\n')) {
    const head = /^\s*(?:nfsd|\S+)-(\d+)\s+\[\d+\].*?: (svc_process|nfsd_\w+): (.*)$/.exec(line);
    if (head === null) continue;
    const [, thread = '', event, rest = ''] = head;
    const xid = /xid=0x([0-9a-f]+)/.exec(rest)?.[1] ?? '';
    if (event === 'svc_process') {
      const address = /addr=(\S+):\d+ /.exec(rest)?.[1];
      if (address === undefined || !rest.includes('service=nfsd ')) calls.delete(thread);
      else calls.set(thread, { xid, client: address });
      continue;
    }
    const call = calls.get(thread);
    if (call?.xid !== xid) throw new Error(`no call on thread ${thread} for: ${line}`);
    const hash = Number.parseInt(/fh_hash=0x([0-9a-f]+)/.exec(rest)?.[1] ?? '', 16);
    const objects = clients.get(call.client) ?? new Map<number, ReferenceObject>();
    clients.set(call.client, objects);
    const object = objects.get(hash) ?? {
      hash,
      verified: 0,
      bytesRead: 0,
      reads: 0,
      readlinks: 0,
    };
    objects.set(hash, object);
    if (event === 'nfsd_fh_verify') {
      object.verified++;
      if (/type=LNK\b/.test(rest)) object.readlinks++;
    } else {
      object.reads++;
      object.bytesRead += Number(/len=(\d+)/.exec(rest)?.[1] ?? 0);
    }
  }
  return clients;
}

/** Paths (bytes, relative to the root, '' for the root itself) of every handle hash of the root. */
export async function namesByHash(server: LabServer): Promise<ReadonlyMap<number, Buffer[]>> {
  const script = await readFile(path.join(import.meta.dirname, 'guest/walk-handles.pl'), 'utf8');
  await server.writeFile('/run/walk-handles.pl', script);
  const walk = await server.must(`perl /run/walk-handles.pl ${VICTIM_ROOT}`, {
    timeoutMs: 120_000,
  });
  const exports = await server.must('cat /proc/net/rpc/nfsd.fh/content');
  const [, type = '', words = ''] =
    new RegExp(`^\\S+ (\\d+) 0x(\\S+) ${VICTIM_ROOT}$`, 'm').exec(exports) ?? [];
  if (type === '') throw new Error(`no client has used ${VICTIM_ROOT} yet:\n${exports}`);
  // Printed as 32-bit words in the machine's own order.
  const fsid = Buffer.from(words, 'hex').swap32();
  const names = new Map<number, Buffer[]>();
  for (const line of walk.trim().split('\n')) {
    const [fileType = '', handle = '', name = ''] = line.split(' ');
    // The export's own root has no file part.
    const file = name === '' ? Buffer.alloc(0) : Buffer.from(handle, 'hex');
    const last = name === '' ? 0 : Number(fileType);
    const hash = crc32(Buffer.concat([Buffer.from([1, 0, Number(type), last]), fsid, file]));
    const known = names.get(hash) ?? [];
    known.push(Buffer.from(name, 'hex').subarray(1));
    names.set(hash, known);
  }
  return names;
}
