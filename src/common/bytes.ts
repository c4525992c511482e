/**
 * Paths and names are bytes. Owns their order and the ways they reach a person or JSON.
 */
import { isUtf8 } from 'node:buffer';

/** Bytewise order, the only order of anything exported. */
export function compareBytes(a: Buffer, b: Buffer): number {
  return Buffer.compare(a, b);
}

/** A JSON-safe form of a path: always `path`; `path_base64` too when it is not valid UTF-8. */
export function jsonPath(path: Buffer): { path: string; path_base64?: string } {
  const text = path.toString('utf8');
  return isUtf8(path) ? { path: text } : { path: text, path_base64: path.toString('base64') };
}
