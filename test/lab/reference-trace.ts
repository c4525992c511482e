/**
 * An independent reading of what the NFS server did: text lines of a private tracefs instance,
 * joined to the client by (thread, xid), and handles named by a walk of the root in perl.
 * Owns that instance. It shares no code with the product, which it is there to check.
 */
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { parseEvents, PROBE, PROBE_GROUP, type ReferenceEvent } from './reference-events.ts';
import { GUEST_SHARE, VICTIM_ROOT, type LabServer } from './server.ts';

/** What one client did to one object. */
export interface ReferenceObject {
  /** CRC-32 of the NFS file handle. */
  readonly hash: number;
  /** How often a handle of this hash was verified for this client. */
  verified: number;
  /** What READs and WRITEs of it moved. */
  bytes: number;
  reads: number;
  /** How often it was asked for leave to read it: an empty file is opened and never read. */
  opens: number;
  readlinks: number;
}

/** By client address, then by hash. */
export type ReferenceTrace = ReadonlyMap<string, ReadonlyMap<number, ReferenceObject>>;

const TRACEFS = '/sys/kernel/tracing';
const INSTANCE = `${TRACEFS}/instances/lab-reference`;
const EVENTS = ['sunrpc/svc_process', 'nfsd/nfsd_read_io_done', 'nfsd/nfsd_write_io_done'];
const VERIFY = ['nfsd/nfsd_fh_verify', `${PROBE_GROUP}/fh_verify`];
const NAME = 'reference-trace.txt';
const FOLLOWED = `/run/${NAME}`;
/** A boot is about 3 MB of binary records; the rest is head-room. */
const BUFFER_KB_PER_CPU = 24_576;

export class ReferenceRecorder {
  readonly #server: LabServer;

  constructor(server: LabServer) {
    this.#server = server;
  }

  /**
   * With `follow` the text is drained all the time, so that a long recording fits; it ends with
   * {@link finish} then, not with {@link take}.
   */
  async start({ follow = false }: { readonly follow?: boolean } = {}): Promise<void> {
    const enable = EVENTS.map((event) => `echo 1 > ${INSTANCE}/events/${event}/enable`);
    await this.#server.must(
      [
        'set -e',
        // Kernels without nfsd_fh_verify get a probe of the function itself.
        `test -e ${TRACEFS}/events/nfsd/nfsd_fh_verify || echo '${PROBE}' >> ${TRACEFS}/kprobe_events`,
        `mkdir -p ${INSTANCE}`,
        `for verify in ${VERIFY.join(' ')}; do`,
        `  test ! -e ${INSTANCE}/events/$verify || echo 1 > ${INSTANCE}/events/$verify/enable`,
        'done',
        `echo ${BUFFER_KB_PER_CPU} > ${INSTANCE}/buffer_size_kb`,
        `echo 0 > ${INSTANCE}/options/overwrite`,
        // The default clock is each processor's own: a thread that moves would be out of order.
        `echo mono > ${INSTANCE}/trace_clock`,
        ...enable,
        `echo 1 > ${INSTANCE}/tracing_on`,
        ...(follow
          ? [`setsid cat ${INSTANCE}/trace_pipe > ${FOLLOWED} & echo $! > ${FOLLOWED}.pid`]
          : []),
      ].join('\n'),
    );
  }

  /** Every event since a start that follows. */
  async finish(): Promise<ReferenceEvent[]> {
    const stats = await this.#server.must(
      [
        'set -e',
        `echo 0 > ${INSTANCE}/tracing_on`,
        `cat ${INSTANCE}/per_cpu/cpu*/stats`,
        // A reader of trace_pipe comes to an end once tracing is off.
        `while kill -0 $(cat ${FOLLOWED}.pid) 2>/dev/null; do sleep 0.2; done`,
        `cp ${FOLLOWED} ${GUEST_SHARE}/${NAME}`,
      ].join('\n'),
    );
    mustBeWhole(stats);
    const outside = path.join(this.#server.share, NAME);
    const text = await readFile(outside, 'latin1');
    await rm(outside);
    return parseEvents(text);
  }

  /** What has been seen since the start or the last take, which is then forgotten. */
  async take(): Promise<ReferenceTrace> {
    const outside = path.join(this.#server.share, NAME);
    const stats = await this.#server.must(
      [
        'set -e',
        `echo 0 > ${INSTANCE}/tracing_on`,
        `cat ${INSTANCE}/per_cpu/cpu*/stats`,
        `cat ${INSTANCE}/trace > /run/${NAME}`,
        `echo > ${INSTANCE}/trace`,
        `echo 1 > ${INSTANCE}/tracing_on`,
        `cp /run/${NAME} ${GUEST_SHARE}/${NAME}`,
        `rm /run/${NAME}`,
      ].join('\n'),
      { timeoutMs: 120_000 },
    );
    mustBeWhole(stats);
    const text = await readFile(outside, 'latin1');
    await rm(outside);
    return summed(parseEvents(text));
  }

  async stop(): Promise<void> {
    await this.#server.must(
      `rmdir ${INSTANCE}; ! grep -q ${PROBE_GROUP} ${TRACEFS}/kprobe_events || echo '-:${PROBE_GROUP}/fh_verify' >> ${TRACEFS}/kprobe_events`,
    );
  }
}

function mustBeWhole(stats: string): void {
  for (const [line, count] of stats.matchAll(
    /^(?:overrun|commit overrun|dropped events): (\d+)$/gm,
  )) {
    if (Number(count) !== 0) throw new Error(`the reference trace itself is not whole: ${line}`);
  }
}

/** The events of each client's objects, taken together. */
export function summed(events: readonly ReferenceEvent[]): ReferenceTrace {
  const clients = new Map<string, Map<number, ReferenceObject>>();
  for (const { client, hash, kind, bytes } of events) {
    const objects = clients.get(client) ?? new Map<number, ReferenceObject>();
    clients.set(client, objects);
    const object = objects.get(hash) ?? {
      ...{ hash, verified: 0, bytes: 0, reads: 0, opens: 0, readlinks: 0 },
    };
    objects.set(hash, object);
    if (kind === 'read') object.reads++;
    else if (kind !== 'write') object.verified++;
    if (kind === 'open') object.opens++;
    if (kind === 'readlink') object.readlinks++;
    object.bytes += bytes;
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
