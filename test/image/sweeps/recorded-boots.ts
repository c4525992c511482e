/**
 * Real boots of the lab's Debian, each with sweeps after it, as their sessions had them, and what
 * the root had. Owns the file of them; `record-boots.ts` makes it anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { fromBytes, parentOf } from '../../../src/image/resolve.ts';
import type { Walked } from '../../../src/image/sweeps/below.ts';
import type { Touch } from '../../../src/image/sweeps/touch.ts';
import { MemoryTree } from '../memory-tree.ts';

const FILE = join(import.meta.dirname, '../../fixtures/sweeps/boots.json.gz');

export interface RecordedBoot {
  readonly nfs: string;
  /** When the boot was done and the sweeps began, on the clock of the touches. */
  readonly doneUs: number;
  readonly touches: readonly Touch[];
}

export interface RecordedBoots {
  /** Type, size, path. */
  readonly root: readonly (readonly [Touch['type'], number, string])[];
  readonly boots: readonly RecordedBoot[];
}

export function writeBoots(boots: RecordedBoots): void {
  writeFileSync(FILE, gzipSync(JSON.stringify(boots), { level: 9 }));
}

export function readBoots(): { readonly tree: Walked; readonly boots: readonly RecordedBoot[] } {
  const { root, boots } = JSON.parse(gunzipSync(readFileSync(FILE)).toString()) as RecordedBoots;
  const names = Map.groupBy(
    root.filter(([, , path]) => path !== ''),
    ([, , path]) => parentOf(path),
  );
  const nodes = root.map(([type, size, path]) => {
    const known = type === 'other' ? 'fifo' : type;
    return [path, { type: known, size }] as const;
  });
  const tree = new MemoryTree(Object.fromEntries(nodes));
  return {
    tree: {
      lstat: (path) => tree.lstat(path),
      list: (path) =>
        (names.get(fromBytes(path)) ?? []).map(([, , one]) =>
          Buffer.from(one.slice(one.lastIndexOf('/') + 1), 'latin1'),
        ),
    },
    boots,
  };
}
