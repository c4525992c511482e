/** Files of test/fixtures, read once. */
import { readFileSync } from 'node:fs';

const FOLDER = new URL('../fixtures/', import.meta.url);
const known = new Map<string, Buffer>();

/** Below test/fixtures/fuzz. */
export const fixture = (name: string): Buffer => anyFixture(`fuzz/${name}`);

export function anyFixture(name: string): Buffer {
  let bytes = known.get(name);
  if (bytes === undefined) {
    bytes = readFileSync(new URL(name, FOLDER));
    known.set(name, bytes);
  }
  return bytes;
}
