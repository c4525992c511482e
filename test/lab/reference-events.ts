/**
 * The text form of the NFS server's trace events (Linux 5.10 to 7.2) as rows: who, which handle,
 * what, when. Owns the text's form and the join to the client by (thread, xid). Pure.
 */
import { crc32 } from 'node:zlib';

export interface ReferenceEvent {
  /** Seconds of the trace's clock. */
  readonly time: number;
  /** The client's address. */
  readonly client: string;
  /** CRC-32 of the NFS file handle. */
  readonly hash: number;
  /** `open` asks for leave to read a file; `verify` is any use of the handle besides the others. */
  readonly kind: 'verify' | 'open' | 'read' | 'write' | 'readlink';
  /** What a READ or a WRITE moved. */
  readonly bytes: number;
}

/**
 * The probe that stands in for nfsd_fh_verify tells the handle, which starts with its size
 * (fs/nfsd/nfsfh.h of 5.10; arguments as x86-64 passes them). ext4's handles take 28 bytes.
 */
const HANDLE_BYTES = 44;
export const PROBE_GROUP = 'lab_reference';
export const PROBE = `p:${PROBE_GROUP}/fh_verify nfsd:fh_verify size=+0(%si):u32 raw=+4(%si):x8[${HANDLE_BYTES}] type=%dx:x32 access=%cx:x32`;

const LINE =
  /^\s*(?:nfsd|\S+)-(\d+)\s+\[\d+\].*?(\d+\.\d+): (svc_process|nfsd_\w+|fh_verify): (.*)$/;

/** Lines that are not of the server's threads are left out; a call that is not known is an error. */
export function parseEvents(text: string): ReferenceEvent[] {
  const events: ReferenceEvent[] = [];
  const calls = new Map<string, { xid: string; client: string }>();
  const heads = text
    .split('\n')
    .map((line) => LINE.exec(line))
    .filter((head) => head !== null)
    // A text that was drained from several processors is sorted only roughly.
    .sort((a, b) => Number(a[2]) - Number(b[2]));
  for (const head of heads) {
    const [line, thread = '', time = '', event, rest = ''] = head;
    const xid = /xid=0x([0-9a-f]+)/.exec(rest)?.[1] ?? '';
    if (event === 'svc_process') {
      const address = /addr=(\S+):\d+ /.exec(rest)?.[1];
      // A client of version 3 asks for access lists by a protocol of their own.
      if (address === undefined || !/service=nfs(d|acl) /.test(rest)) calls.delete(thread);
      else calls.set(thread, { xid, client: address });
      continue;
    }
    const call = calls.get(thread);
    // The probe knows no xid; a thread works on one call at a time.
    if (call === undefined || (event !== 'fh_verify' && call.xid !== xid)) {
      throw new Error(`no call on thread ${thread} for: ${line}`);
    }
    const moved = /^nfsd_(read|write)_io_done$/.exec(event ?? '')?.[1] as
      'read' | 'write' | undefined;
    events.push({
      time: Number(time),
      client: call.client,
      hash: event === 'fh_verify' ? hashOfProbe(rest) : hashOf(rest),
      kind: moved ?? useOf(rest),
      bytes: moved !== undefined ? Number(/len=(\d+)/.exec(rest)?.[1] ?? 0) : 0,
    });
  }
  return events;
}

/** nfsd_fh_verify names the bits of `access`, the probe gives them as a number. */
const BITS = { READ: 4, WRITE: 2, SATTR: 8 };

function useOf(rest: string): 'verify' | 'open' | 'readlink' {
  const [, type = '', access = ''] = /type=(\S+) access=(\S*)/.exec(rest) ?? [];
  if (type === 'LNK' || type === '0xa000') return 'readlink';
  const asks = (name: keyof typeof BITS): boolean =>
    access.startsWith('0x')
      ? (Number(access) & BITS[name]) !== 0
      : access.split('|').includes(name);
  const folder = type === 'DIR' || type === '0x4000';
  return asks('READ') && !asks('WRITE') && !asks('SATTR') && !folder ? 'open' : 'verify';
}

function hashOf(rest: string): number {
  return Number.parseInt(/fh_hash=0x([0-9a-f]+)/.exec(rest)?.[1] ?? '', 16);
}

/** The kernel's hash of the handle that the probe printed. */
function hashOfProbe(rest: string): number {
  const [, size = '', bytes = ''] = /size=(\d+) raw=\{([^}]*)\}/.exec(rest) ?? [];
  if (size === '' || Number(size) > HANDLE_BYTES) throw new Error(`no whole handle in: ${rest}`);
  return crc32(Buffer.from(bytes.split(',').slice(0, Number(size)).map(Number)));
}
