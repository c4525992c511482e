/**
 * Paths and names are bytes. Owns their order and the ways they reach a person or JSON.
 */
import { isUtf8 } from 'node:buffer';

/** Bytewise order, the only order of anything exported. */
export function compareBytes(a: Buffer, b: Buffer): number {
  return Buffer.compare(a, b);
}

/** A path as JSON has it. */
export interface JsonPath {
  /** The root itself is `.`; what is not UTF-8 in it is U+FFFD. */
  readonly path: string;
  /** Only when the path is not valid UTF-8: its bytes. */
  readonly path_base64?: string;
}

export function jsonPath(path: Buffer): JsonPath {
  const bytes = shownPath(path);
  const text = bytes.toString('utf8');
  return isUtf8(bytes) ? { path: text } : { path: text, path_base64: bytes.toString('base64') };
}

/** The bytes of a path that came as JSON. */
export function bytesOf({ path, path_base64: bytes }: JsonPath): Buffer {
  return bytes === undefined ? Buffer.from(path) : Buffer.from(bytes, 'base64');
}

/** A path relative to a root as people see it: the root itself, empty inside, is `.`. */
export function shownPath(path: Buffer): Buffer {
  return path.length === 0 ? Buffer.from('.') : path;
}
