/**
 * Who is connected to an NFS server of user space: the only attribution that the `sole-client`
 * tier has. Reads /proc/net/tcp and tcp6. Owns the sampling of addresses; must not decide sessions.
 */
import { readFileSync } from 'node:fs';

const ESTABLISHED = '01';

/** Turns the kernel's hexadecimal address (32-bit words in host order) into text. */
export function addressOfHex(hex: string): string {
  const words = hex.match(/.{8}/g) ?? [];
  const bytes = Buffer.concat(words.map((word) => Buffer.from(word, 'hex').reverse()));
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.subarray(0, 12).toString('hex') === '00000000000000000000ffff')
    return bytes.subarray(12).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

/** Addresses with an established connection to one of the server's ports, from a tcp table. */
export function peersInTable(table: string, ports: ReadonlySet<number>): string[] {
  const peers = new Set<string>();
  for (const line of table.split('\n').slice(1)) {
    const [, local, remote, state] = line.trim().split(/\s+/);
    if (local === undefined || remote === undefined || state !== ESTABLISHED) continue;
    const port = parseInt(local.slice(local.indexOf(':') + 1), 16);
    if (ports.has(port)) peers.add(addressOfHex(remote.slice(0, remote.indexOf(':'))));
  }
  return [...peers].sort();
}

/** Everyone connected to one of `ports` now. */
export function connectedClients(ports: ReadonlySet<number>): string[] {
  const tables = ['/proc/net/tcp', '/proc/net/tcp6'].map((path) => {
    try {
      return readFileSync(path, 'latin1');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
      throw error;
    }
  });
  return [...new Set(tables.flatMap((table) => peersInTable(table, ports)))].sort();
}
