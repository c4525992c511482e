/**
 * What the kernel NFS server exports, read from its own tables and from exportfs's.
 * Owns the reading and the format of /proc/net/rpc and etab; must not know sessions or SQL.
 */
import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { decodeKernelEscapes, type ExportKey } from '../attribution/handle.ts';
import { unescapeOctal } from './paths.ts';

const FH_TABLE = '/proc/net/rpc/nfsd.fh/content';
const EXPORT_TABLE = '/proc/net/rpc/nfsd.export/content';
const CLIENT_TABLE = '/proc/net/rpc/auth.unix.ip/content';
const ETAB = '/var/lib/nfs/etab';
const NOTHING = Buffer.alloc(0);

/** Empty if there is no such table (now). */
function readIfThere(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // EIO and EINVAL are how a sunrpc cache answers while its module comes or goes.
    if (code === 'ENOENT' || code === 'EIO' || code === 'EINVAL') return NOTHING;
    throw error;
  }
}

/** The tables as they stand, to be compared and then parsed. */
export interface ExportTables {
  /** fsid → path, of every export in use: an entry comes with the first client and may expire. */
  readonly handles: Buffer;
  /** path → options, in use likewise. */
  readonly options: Buffer;
  /** What exportfs handed out, in use or not. */
  readonly etab: Buffer;
}

/** Empty ones if there is no NFS server (now). Throws what else reading throws. */
export function readExportTables(): ExportTables {
  return {
    handles: readIfThere(FH_TABLE),
    options: readIfThere(EXPORT_TABLE),
    etab: readIfThere(ETAB),
  };
}

/** An export and the options that decide what its handles look like and how far it reaches. */
export interface ExportedDirectory {
  readonly path: Buffer;
  /** A client's or a client list's name, as the kernel or exportfs writes it. */
  readonly domain: string;
  readonly options: ReadonlySet<string>;
}

/** Directories that exportfs has handed to the kernel, in use or not. */
export function exportedDirectories(): Buffer[] {
  return parseEtab(readIfThere(ETAB)).map(({ path }) => path);
}

/** A line for each (directory, client): `PATH<tab>CLIENT(OPTION,...)`. */
export function parseEtab(etab: Buffer): ExportedDirectory[] {
  return lines(etab).flatMap((line) => {
    const [path = '', rest = ''] = line.split('\t', 2);
    return [{ path: unescapeOctal(Buffer.from(path, 'latin1')), ...parseOptions(rest) }];
  });
}

/**
 * Lines of `PATH<tab>DOMAIN(OPTION,...)` as the kernel prints them (svc_export_show()); those in
 * comments are negative or pending.
 */
export function parseKernelExports(content: Buffer): ExportedDirectory[] {
  return lines(content).flatMap((line) => {
    const [path = '', rest = ''] = line.split('\t', 2);
    if (!path.startsWith('/')) return [];
    return [{ path: decodeKernelEscapes(Buffer.from(path, 'latin1')), ...parseOptions(rest) }];
  });
}

/** Which domain the kernel took each client for lately, by address. */
export function clientDomains(): Map<string, string> {
  return parseClientDomains(readIfThere(CLIENT_TABLE));
}

/** Lines of `nfsd ADDRESS DOMAIN` (ip_map_show()); IPv6 addresses are written out in full. */
export function parseClientDomains(content: Buffer): Map<string, string> {
  const domains = new Map<string, string>();
  for (const line of lines(content)) {
    const [service, address = '', domain] = line.split(' ');
    if (service !== 'nfsd' || domain === undefined) continue;
    const short = isIPv6(address) ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
    domains.set(short, decodeKernelEscapes(Buffer.from(domain, 'latin1')).toString('utf8'));
  }
  return domains;
}

/**
 * The key of an export by its options (set_version_and_fsid_type() in fs/nfsd/nfsfh.c); null if it
 * has neither fsid nor UUID. The kernel lists it by itself only once a client has come back with a
 * handle, but the call that gave the handle out is traced already.
 * @param top is the directory the top of its file system?
 * @param inode of the directory
 */
export function keyByOptions(
  { path, domain, options }: ExportedDirectory,
  { top, inode }: { readonly top: boolean; readonly inode: bigint },
): ExportKey | null {
  const valueOf = (name: string): string | undefined =>
    [...options].find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1);
  const number = valueOf('fsid');
  if (number !== undefined && /^\d+$/.test(number))
    return { domain, path, fsidType: 1, fsid: inHostOrder(BigInt(number), 4) };
  const uuid = Buffer.from((valueOf('uuid') ?? '').replaceAll(':', ''), 'hex');
  if (uuid.length !== 16) return null;
  return top
    ? { domain, path, fsidType: 6, fsid: uuid }
    : { domain, path, fsidType: 7, fsid: Buffer.concat([inHostOrder(inode, 8), uuid]) };
}

function inHostOrder(value: bigint, bytes: 4 | 8): Buffer {
  return bytes === 4
    ? Buffer.from(new Uint32Array([Number(value & 0xffffffffn)]).buffer)
    : Buffer.from(new BigUint64Array([value]).buffer);
}

function lines(table: Buffer): string[] {
  return table
    .toString('latin1')
    .split('\n')
    .filter((line) => line !== '');
}

/** `CLIENT(a,b=c)`; the client may be a netgroup or a range, but has no parenthesis in it. */
function parseOptions(text: string): Omit<ExportedDirectory, 'path'> {
  const [, domain = '', options = ''] = /^([^(]*)\((.*)\)/.exec(text) ?? [];
  const name = decodeKernelEscapes(Buffer.from(domain, 'latin1')).toString('utf8');
  return { domain: name, options: new Set(options.split(',')) };
}
