/**
 * Decides what goes into an image and as what: a pure function of plain rows and a tree.
 * Owns selection, what is left out and why, hard links, times and numbers of every entry. Must not
 * know NFS, SQL, sessions, the caller's identity, the clock, or the archive's bytes.
 */
import { compareBytes } from '../common/bytes.ts';
import { alignEntries } from './align.ts';
import { archiveLength } from './archive.ts';
import { AttributeReader } from './attributes.ts';
import { addRestorer, carryAttributes } from './carried-attributes.ts';
import { Closure, type ReasonKind } from './closure.ts';
import { toEntries } from './entries.ts';
import { addInit } from './init.ts';
import { moduleIndexProblems } from './module-indexes.ts';
import { checkMountPoints } from './mount-points.ts';
import { makeNeeds } from './needs/needs.ts';
import { RootFiles } from './needs/root-files.ts';
import { ownerChange, ownerProblems } from './owners.ts';
import { microcodeArchive } from './parts/microcode.ts';
import type { Drift, ImagePlan, LeftOut, PlanOptions, Problem } from './plan-types.ts';
import { addSentinel, inArchiveOrder } from './records.ts';
import { fromBytes, parentOf, Resolver, toBytes } from './resolve.ts';
import { Barrier } from './rules/barrier.ts';
import { includeByRules } from './rules/include.ts';
import { Rules } from './rules/rules.ts';
import { addWholeSkeleton } from './rules/whole-skeleton.ts';
import { ALL_OPERATIONS, findFiles, select } from './selection.ts';
import { addTable } from './skeleton.ts';
import { tellSwept } from './sweeps/leave-out.ts';
import { DEVICE_NODES, MOUNT_POINTS } from './tables.ts';
import type { Tree } from './tree.ts';

export type * from './plan-types.ts';

/**
 * Throws what the tree throws, since an unreadable root must not become a smaller image, and
 * `bad-glob` for a rule.
 */
export async function planImage(options: PlanOptions): Promise<ImagePlan> {
  const { mountPoints = MOUNT_POINTS, devices = DEVICE_NODES } = options;
  const [tree, links] = await Promise.all([surveyed(options), options.tree.symlinks()]);
  const resolver = new Resolver(tree, links);
  const files = new RootFiles(resolver, tree);
  const drift: Drift[] = [];
  const leftOut: LeftOut[] = [];
  const problems: Problem[] = [];

  const found = findFiles(options.files, resolver, drift);
  const created = new Set(found.filter((file) => file.created).map((file) => file.path));
  const rules = new Rules(options.rules ?? [], resolver);
  const barrier = new Barrier({ created, rules });
  const closure = new Closure(resolver, barrier);
  const swept = select({
    found,
    resolver,
    closure,
    drift,
    leftOut,
    barrier,
    mask: options.operations ?? ALL_OPERATIONS,
    keepSweeps: options.keepSweeps === true,
    skipDrifted: options.onDrift === 'skip',
  });
  includeByRules({ rules, tree, resolver, closure });
  closure.add('', { kind: 'skeleton', about: null });
  addTable({ nodes: mountPoints, kind: 'skeleton', resolver, closure, problems });
  addTable({ nodes: devices, kind: 'device-table', resolver, closure, problems });
  const init = addInit({ asked: options.init, files, closure, problems });
  // The root's own /init would not look at it.
  if (init !== 'own') addSentinel({ closure, resolver, problems });
  const needs = makeNeeds({ files, closure, without: options.without ?? [] });
  closure.close(needs.rules);
  const reader = new AttributeReader(tree, problems);
  const skeleton = options.skeleton === true;
  const restored = addRestorer({ init, reader, resolver, closure, expected: skeleton });
  if (skeleton) addWholeSkeleton({ rules, tree, resolver, closure });
  checkMountPoints({ nodes: mountPoints, resolver, closure, problems });
  const attributes = carryAttributes({ restored, reader, resolver, closure, problems });
  problems.push(...needs.problems());
  if (init === 'preboot') problems.push(...moduleIndexProblems(closure, files));
  const microcode =
    options.earlyMicrocode === true ? microcodeArchive({ tree, resolver, problems }) : null;
  const effects = barrier.settle({ closure, resolver, leftOut, problems, init });
  const sweptOut = tellSwept(swept, { closure, resolver, leftOut });

  const drafts = inArchiveOrder(closure.drafts.values());
  const { mtimeMax } = options;
  const owner = ownerChange(options);
  const unaligned = toEntries({ drafts, tree, mountPoints, mtimeMax, owner });
  const entries =
    options.align === true ? alignEntries(unaligned, microcode?.length ?? 0) : unaligned;
  problems.push(...ownerProblems(entries, options));
  for (const path of resolver.mounted())
    problems.push({
      code: 'mounted-over',
      message: `something is mounted on /${toBytes(path).toString()} of the root`,
      hint: 'what the root has there cannot be seen; unmount it and export again',
    });
  const notCarried = reader.lost(drafts, closure);
  const countsByReason: Partial<Record<ReasonKind, number>> = {};
  let contentBytes = 0;
  for (const entry of entries) {
    const kind = entry.reasons[0]?.kind;
    if (kind !== undefined) countsByReason[kind] = (countsByReason[kind] ?? 0) + 1;
    if (entry.type === 'file' && entry.carriesData) contentBytes += entry.size;
  }
  const byPath = (a: { path: Buffer }, b: { path: Buffer }) => compareBytes(a.path, b.path);
  return {
    entries,
    links,
    drift: drift.sort(byPath),
    // What a rule adds all the same, or something needs, is not left out.
    leftOut: leftOut.filter(({ path }) => !closure.drafts.has(fromBytes(path))).sort(byPath),
    notCarried: notCarried.sort(byPath),
    attributes,
    microcode,
    problems,
    rules: effects,
    sweptOut,
    countsByReason,
    contentBytes,
    bytes: archiveLength(entries),
  };
}

/** The tree, ready for what every plan asks it: of what was recorded and of the directories above. */
async function surveyed({ tree, files }: PlanOptions): Promise<Tree> {
  if (tree.survey === undefined) return tree;
  const paths = new Set<string>();
  for (const { path } of files)
    for (let at = fromBytes(path); !paths.has(at); at = parentOf(at)) paths.add(at);
  return tree.survey([...paths]);
}
