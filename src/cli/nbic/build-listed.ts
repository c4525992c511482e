/**
 * From a list of paths to an image: neither a daemon nor a database is asked. Owns what a path on a
 * list stands for. Must not know the form of a list, or options' spelling.
 */
import { basename } from 'node:path';
import { TraceError } from '../../common/errors.ts';
import { operationBit } from '../../common/words.ts';
import { planReport, type PlanReport } from '../../daemon/image-report.ts';
import { NativeTree } from '../../fanotify-ts/tree.ts';
import type { ImageChoices } from '../../image/choices.ts';
import { exportIfChanged } from '../../image/export-if-changed.ts';
import { exportImage, type ExportOptions } from '../../image/export.ts';
import { packagesOf } from '../../image/packages/packages-of.ts';
import { planImage, type ImagePlan, type PlanEntry } from '../../image/plan.ts';
import { refusePlan } from '../../image/refusal.ts';
import { version } from '../version.ts';

export interface ListedImage extends Pick<ExportOptions, 'frameCache' | 'outer' | 'output'> {
  readonly root: Buffer;
  /** Below the root. */
  readonly paths: readonly Buffer[];
  /** The list's name, for a manifest. */
  readonly list: string;
  readonly choices: ImageChoices;
  /** Leave the file at `output` alone if it is this image already. */
  readonly ifChanged?: boolean | undefined;
}

export const PATHS_HINT =
  "paths are as the root itself sees them, bin/ls; `find DIR -printf '%P\\n'` prints them so";

/** Whoever made the list wants the file itself, as if the client had read it. */
const LISTED = operationBit('read');

/** @throws TraceError `nothing-found`, and what a plan and an export throw */
export async function buildListed(request: ListedImage): Promise<PlanReport> {
  const { root, paths, list, choices, ifChanged = false, ...writing } = request;
  const tree = NativeTree.open(root);
  try {
    const files = paths.map((path) => ({ path, operations: LISTED }));
    const plan = await planImage({ ...choices, files, tree });
    if (isEmpty(plan))
      throw new TraceError({
        code: 'nothing-found',
        message: `none of the ${paths.length} paths in ${list} is in ${root.toString()}`,
        hint: PATHS_HINT,
        exit: 'data',
      });
    refusePlan(plan, choices);
    const { format, compress } = choices;
    const packages = format === 'cyclonedx' ? await packagesOf(plan.entries, tree) : undefined;
    const result = await (ifChanged ? exportIfChanged : exportImage)({
      ...writing,
      plan,
      tree,
      format,
      compress,
      packages,
      origin: { expression: basename(list), sessions: [], version: version() },
    });
    return planReport({ plan, choices, result, packages });
  } finally {
    tree.close();
  }
}

/** Nothing that was listed is there: the device nodes alone are no image. */
function isEmpty({ entries, drift, leftOut }: ImagePlan): boolean {
  const isListed = ({ path, reasons }: PlanEntry) =>
    path.length > 0 && reasons.some(({ kind }) => kind === 'read');
  return drift.length > 0 && leftOut.length === 0 && !entries.some(isListed);
}
