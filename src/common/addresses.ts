/**
 * Client addresses as text: one spelling for each. Owns that spelling: IPv4 dotted, IPv6 in its
 * short lower-case form, `::ffff:10.0.0.7` is `10.0.0.7`, a zone after `%`.
 */
import { isIP } from 'node:net';

export interface Address {
  readonly family: 4 | 6;
  /** Without the zone. */
  readonly address: string;
  /** Interface name or number of a link-local address; null without. */
  readonly zone: string | null;
}

const MAPPED = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/;

/** null if it is none. */
export function parseAddress(text: string): Address | null {
  const family = isIP(text);
  if (family === 4) return { family, address: text, zone: null };
  if (family !== 6) return null;
  const [bare = '', zone = null] = text.split('%', 2);
  const address = new URL(`http://[${bare}]`).hostname.slice(1, -1);
  const [, high, low] = MAPPED.exec(address) ?? [];
  if (high === undefined || low === undefined) return { family: 6, address, zone };
  const [left, right] = [parseInt(high, 16), parseInt(low, 16)];
  const bytes = [left >> 8, left & 255, right >> 8, right & 255];
  return { family: 4, address: bytes.join('.'), zone: null };
}

/** The one spelling of an address; what is none stays as it is. */
export function spelledAddress(text: string): string {
  const parsed = parseAddress(text);
  if (parsed === null) return text;
  return parsed.zone === null ? parsed.address : `${parsed.address}%${parsed.zone}`;
}
