/**
 * The kernel's own text form of NFS events, counted by client and handle: what the binary records
 * must say too. Owns that reading. Uses no code of the product, which it is there to check.
 */
import { crc32 } from 'node:zlib';

/** [client, handle hash, checks that held, READLINKs among them, reads, bytes read] */
export type TextCount = [string, number, number, number, number, number];
/** [client, directory's hash, name, how often] */
export type TextLookup = [string, number, string, number];

export interface TextCounts {
  readonly counts: TextCount[];
  readonly lookups: TextLookup[];
}

interface Call {
  xid: string;
  client: string;
  /** The check that is not known yet to have held. */
  check: TextCount | null;
  readlink: boolean;
}

/** @param checks `nfsd_fh_verify`, or `fhv` for the kprobe */
export function countsOfText(text: string, checks: 'nfsd_fh_verify' | 'fhv'): TextCounts {
  const counts = new Map<string, TextCount>();
  const lookups = new Map<string, TextLookup>();
  const calls = new Map<string, Call>();
  const countOf = (client: string, hash: number): TextCount => {
    const key = `${client} ${hash}`;
    const count = counts.get(key) ?? [client, hash, 0, 0, 0, 0];
    counts.set(key, count);
    return count;
  };
  for (const line of text.split('\n')) {
    const head = /^\s*\S+-(\d+)\s+\[\d+\].*?: (\w+): (.*)$/.exec(line);
    if (head === null) continue;
    const [, thread = '', event = '', rest = ''] = head;
    const field = (name: string): string =>
      new RegExp(`(?:^|[ ,])${name}=(\\S+)`).exec(rest)?.[1] ?? '';
    // Both routes may be in one text.
    const others = checks === 'fhv' ? /^nfsd_fh_verify/ : /^fhv/;
    if (others.test(event)) continue;
    if (event === 'svc_process') {
      const client = /addr=(\S+):\d+ /.exec(rest)?.[1] ?? '';
      calls.set(thread, { xid: field('xid'), client, check: null, readlink: false });
      continue;
    }
    const call = calls.get(thread);
    if (call === undefined) continue;
    const hash = Number(field('fh_hash'));
    if (event === checks) {
      call.check = countOf(call.client, checks === 'fhv' ? hashOfProbe(rest) : hash);
      call.readlink =
        checks === 'fhv' ? Number(field('type')) === 0o120000 : field('type') === 'LNK';
      call.check[2]++;
      if (call.readlink) call.check[3]++;
      continue;
    }
    const failed =
      checks === 'fhv'
        ? event === 'fhv_ret' && Number(field('ret')) !== 0
        : event === 'nfsd_fh_verify_err' && call.check?.[1] === hash;
    if (failed && call.check !== null) {
      call.check[2]--;
      if (call.readlink) call.check[3]--;
    }
    call.check = null;
    if (event === 'nfsd_vfs_lookup') {
      const name = /name=(.*)$/.exec(rest)?.[1] ?? '';
      const key = `${call.client} ${hash} ${name}`;
      const known = lookups.get(key) ?? [call.client, hash, name, 0];
      known[3]++;
      lookups.set(key, known);
    }
    if (event === 'nfsd_read_io_done') {
      const count = countOf(call.client, hash);
      count[4]++;
      count[5] += Number(field('len'));
    }
  }
  const byText = (a: unknown, b: unknown): number =>
    JSON.stringify(a) < JSON.stringify(b) ? -1 : 1;
  return {
    counts: [...counts.values()].filter(([, , held, , reads]) => held + reads > 0).sort(byText),
    lookups: [...lookups.values()].sort(byText),
  };
}

/** `fsz=28 raw={0x1c00…,0x…}`: words as a little-endian machine prints them. */
function hashOfProbe(rest: string): number {
  const words = /raw=\{([^}]*)\}/.exec(rest)?.[1]?.split(',') ?? [];
  const bytes = Buffer.alloc(words.length * 8);
  words.forEach((word, index) => bytes.writeBigUInt64LE(BigInt(word), index * 8));
  return crc32(bytes.subarray(0, Number(/fsz=(\d+)/.exec(rest)?.[1])));
}
