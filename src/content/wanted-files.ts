/**
 * Which files' content images of a session may be asked for: planned as an export plans, with every
 * init, and read as an export reads. Owns that union. Must not keep anything.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { type ImageRule, INIT_KINDS } from '../image/choices.ts';
import { unpackerProblems } from '../image/kernel-config.ts';
import { packagesOf } from '../image/packages/packages-of.ts';
import { type PlanEntry, planImage, type SessionFile } from '../image/plan.ts';
import { type ReadContent, RecordedTree } from './recorded-tree.ts';
import type { RootRecord } from './root-record.ts';

export interface WantedOptions {
  readonly record: RootRecord;
  readonly read: ReadContent;
  readonly files: readonly SessionFile[];
  /** What is to be in beside them. */
  readonly rules: readonly ImageRule[];
}

/** Paths, as byte strings. Throws what plans throw. */
export async function wantedFiles(options: WantedOptions): Promise<ReadonlySet<string>> {
  const { record, read, files, rules } = options;
  const wanted = new Set<string>();
  const tree = new RecordedTree(record, (path, offset, length) => {
    wanted.add(path.toString('latin1'));
    return read(path, offset, length);
  });
  const all: PlanEntry[] = [];
  for (const init of INIT_KINDS) {
    const earlyMicrocode = init === INIT_KINDS[0];
    const { entries } = await planImage({ tree, files, rules, init, earlyMicrocode });
    all.push(...entries);
    // Each plan is one piece of work, and a recorder may wait behind it.
    await turn();
  }
  for (const { type, stat, path } of all)
    if (type === 'file' && stat !== null) wanted.add(path.toString('latin1'));
  await packagesOf(all, tree);
  await turn();
  unpackerProblems(tree, 'zstd');
  return wanted;
}
