/**
 * Which files' content images of a session may be asked for: planned as an export plans, with every
 * init, and read as an export reads. Owns that union. Must not keep anything.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { type ImageRule, INIT_KINDS } from '../image/choices.ts';
import { unpackerProblems } from '../image/kernel-config.ts';
import { packagesOf } from '../image/packages/packages-of.ts';
import { type Drift, type PlanEntry, planImage, type SessionFile } from '../image/plan.ts';
import { type ReadContent, RecordedTree } from './recorded-tree.ts';
import type { RootRecord } from './root-record.ts';

export interface WantedOptions {
  readonly record: RootRecord;
  readonly read: ReadContent;
  readonly files: readonly SessionFile[];
  /** What is to be in beside them. */
  readonly rules: readonly ImageRule[];
}

export interface Wanted {
  /** As byte strings. */
  readonly paths: ReadonlySet<string>;
  /** What is not as the session saw it; the same with every init. */
  readonly drift: readonly Drift[];
}

/** Throws what plans throw. */
export async function wantedFiles(options: WantedOptions): Promise<Wanted> {
  const { record, read, files, rules } = options;
  const wanted = new Set<string>();
  const tree = new RecordedTree(record, (path, offset, length) => {
    wanted.add(path.toString('latin1'));
    return read(path, offset, length);
  });
  const all: PlanEntry[] = [];
  let drift: readonly Drift[] = [];
  for (const init of INIT_KINDS) {
    const earlyMicrocode = init === INIT_KINDS[0];
    const plan = await planImage({ tree, files, rules, init, earlyMicrocode });
    all.push(...plan.entries);
    drift = plan.drift;
    // Each plan is one piece of work, and a recorder may wait behind it.
    await turn();
  }
  for (const { type, stat, path } of all)
    if (type === 'file' && stat !== null) wanted.add(path.toString('latin1'));
  await packagesOf(all, tree);
  await turn();
  unpackerProblems(tree, 'zstd');
  return { paths: wanted, drift };
}
