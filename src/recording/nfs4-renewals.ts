/**
 * When each NFSv4 client of this server renewed its lease: /proc/fs/nfsd/clients, which says it
 * since Linux 5.19 or so (measured on 6.1). Owns the reading and its pace; must not judge.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import type { ClientRenewal } from '../attribution/boot-sessions.ts';
import { spelledAddress } from '../common/addresses.ts';
import { nowUs } from './clock.ts';

const FOLDER = '/proc/fs/nfsd/clients';
const MOST_READ = 4096;
const GAP_US = 10_000_000;
/** At most this share of time goes into it. */
const SHARE = 100;

export class Nfs4Renewals {
  readonly #folder: string;
  #nextUs = 0;

  constructor(options: { readonly folder?: string } = {}) {
    this.#folder = options.folder ?? FOLDER;
  }

  /** What the server says now; nothing if it was asked a moment ago or says nothing. */
  read(): ClientRenewal[] {
    const began = nowUs();
    if (began < this.#nextUs) return [];
    const found: ClientRenewal[] = [];
    for (const id of listed(this.#folder).slice(0, MOST_READ)) {
      const info = text(`${this.#folder}/${id}/info`);
      const renewal = info === null ? null : renewalOf(info, nowUs());
      if (renewal !== null) found.push(renewal);
    }
    this.#nextUs = nowUs() + Math.max(GAP_US, SHARE * (nowUs() - began));
    return found;
  }
}

/** One client's `info`; null if it is not alive or the kernel does not say. */
export function renewalOf(info: string, atUs: number): ClientRenewal | null {
  const values = new Map<string, string>();
  for (const line of info.split('\n')) {
    const at = line.indexOf(': ');
    const key = line.slice(0, at);
    if (at > 0 && !values.has(key)) values.set(key, line.slice(at + 2));
  }
  const age = Number(values.get('seconds from last renew') ?? NaN);
  const status = values.get('status') ?? 'confirmed';
  const name = /^"(.*)"$/.exec(values.get('name') ?? '')?.[1];
  const id = /^0x[0-9a-f]{1,16}$/.exec(values.get('clientid') ?? '')?.[0];
  const peer = /^"(?:\[([^\]%]+)(?:%[^\]]*)?\]|([^:"]+))(?::\d+)?"$/.exec(
    values.get('address') ?? '',
  );
  if (status !== 'confirmed' || !(age >= 0)) return null;
  if (name === undefined || id === undefined || peer === null) return null;
  // The id is printed as one number made of (cl_boot, cl_id) in memory order.
  const [low, high] = [Number(BigInt(id) & 0xffffffffn), Number(BigInt(id) >> 32n)];
  const [clBoot, clId] = endianness() === 'LE' ? [low, high] : [high, low];
  return {
    clBoot,
    clId,
    address: spelledAddress(peer[1] ?? peer[2] ?? ''),
    ownerName: unescaped(name),
    // Whole seconds, rounded down by the kernel.
    atUs: atUs - (age + 1) * 1_000_000,
  };
}

/** `\xHH`, as the kernel writes what is not printable, quotes and backslashes. */
function unescaped(quoted: string): Buffer {
  const bytes = quoted.replace(/\\x([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(parseInt(hex, 16)),
  );
  return Buffer.from(bytes, 'latin1');
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // No NFS server, an older kernel, or a namespace without it: then nobody can say.
    return [];
  }
}

/** null if it went meanwhile. */
function text(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}
