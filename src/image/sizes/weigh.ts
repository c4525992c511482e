/**
 * What an image is made of, in bytes: by directory, package, reason and file. Owns the sums. Must
 * not know how they are shown, and decides nothing of the image.
 */
import { compareBytes } from '../../common/bytes.ts';
import { recordLength } from '../archive.ts';
import type { ReasonKind } from '../closure.ts';
import type { PackagesFound } from '../packages/find-packages.ts';
import type { Package } from '../packages/package.ts';
import type { ImagePlan, PlanEntry, SessionFile } from '../plan-types.ts';
import { fromBytes, parentOf, Resolver } from '../resolve.ts';
import type { Tree } from '../tree.ts';
import { cheapestDrops, type Drop } from './evidence.ts';
import { readBytes } from './read-bytes.ts';

export interface Weight {
  readonly entries: number;
  /** Bytes of files. */
  readonly contentBytes: number;
  /** The same with headers, names, links and padding. */
  readonly archiveBytes: number;
}

export interface ImageSizes {
  /** With the archive's end. */
  readonly total: Weight;
  /** Each with all that is in it, in bytewise order of the paths. */
  readonly directories: readonly (Weight & { readonly path: Buffer })[];
  /** Most bytes first. */
  readonly packages: readonly (Weight & { readonly owner: Owner })[];
  /** By the first reason, most bytes first. */
  readonly reasons: readonly (Weight & { readonly kind: ReasonKind })[];
  readonly drops: readonly Drop[];
  readonly items: readonly SizeItem[];
  /** Databases of packages that were not read. */
  readonly unread: PackagesFound['unread'];
}

/** `made`: what the root does not have. `none`: the root has it and no package does. */
export type Owner = Package | 'directories' | 'made' | 'none';

/** One entry, in the order of the image. */
export interface SizeItem {
  readonly path: Buffer;
  readonly isDirectory: boolean;
  readonly archiveBytes: number;
  readonly kind: ReasonKind | null;
}

export interface Weighing {
  readonly plan: Pick<ImagePlan, 'entries' | 'links' | 'contentBytes' | 'bytes'>;
  /** That the plan was made of. */
  readonly files: readonly SessionFile[];
  readonly tree: Tree;
  /** Of its entries. */
  readonly packages: PackagesFound;
}

/** Throws what the tree throws. */
export function weighImage({ plan, files, tree, packages }: Weighing): ImageSizes {
  const { entries } = plan;
  const resolver = new Resolver(tree, plan.links);
  const { owners, unread } = packages;
  const ownerOf = ({ path, type, stat }: PlanEntry): Owner => {
    if (type === 'directory') return 'directories';
    return stat === null ? 'made' : (owners.get(fromBytes(path)) ?? 'none');
  };
  const byOwner = group(entries, ownerOf);
  const byKind = group(
    entries.filter(({ reasons }) => reasons.length > 0),
    ({ reasons }) => reasons[0]?.kind ?? 'stat',
  );
  return {
    total: {
      entries: entries.length,
      contentBytes: plan.contentBytes,
      archiveBytes: plan.bytes,
    },
    directories: byDirectory(entries),
    packages: [...byOwner]
      .map(([owner, sum]) => ({ owner, ...sum }))
      .sort((a, b) => byWeight(a, b) || compareText(labelOf(a.owner), labelOf(b.owner))),
    reasons: [...byKind]
      .map(([kind, sum]) => ({ kind, ...sum }))
      .sort((a, b) => byWeight(a, b) || compareText(a.kind, b.kind)),
    drops: cheapestDrops(entries, readBytes(files, resolver)),
    items: entries.map((entry) => ({
      path: entry.path,
      isDirectory: entry.type === 'directory',
      archiveBytes: recordLength(entry),
      kind: entry.reasons[0]?.kind ?? null,
    })),
    unread,
  };
}

/** Unlike for different owners of one image. */
function labelOf(owner: Owner): string {
  if (typeof owner === 'string') return `:${owner}`;
  return `${owner.kind}:${owner.name}:${owner.architecture}`;
}

interface Sum {
  entries: number;
  contentBytes: number;
  archiveBytes: number;
}

const nothing = (): Sum => ({ entries: 0, contentBytes: 0, archiveBytes: 0 });

function add(to: Sum, { entries, contentBytes, archiveBytes }: Weight): void {
  to.entries += entries;
  to.contentBytes += contentBytes;
  to.archiveBytes += archiveBytes;
}

function weightOf(entry: PlanEntry): Weight {
  return {
    entries: 1,
    contentBytes: entry.type === 'file' && entry.carriesData ? entry.size : 0,
    archiveBytes: recordLength(entry),
  };
}

function group<K>(
  entries: readonly PlanEntry[],
  keyOf: (entry: PlanEntry) => K,
): ReadonlyMap<K, Weight> {
  const sums = new Map<K, Sum>();
  for (const entry of entries) {
    const key = keyOf(entry);
    let sum = sums.get(key);
    if (sum === undefined) sums.set(key, (sum = nothing()));
    add(sum, weightOf(entry));
  }
  return sums;
}

/** Each entry counts once and each directory once, however deep they are. */
function byDirectory(entries: readonly PlanEntry[]): (Weight & { path: Buffer })[] {
  const sums = new Map<string, Sum & { path: Buffer }>();
  for (const { type, path } of entries)
    if (type === 'directory') sums.set(fromBytes(path), { path, ...nothing() });
  for (const entry of entries) {
    const path = fromBytes(entry.path);
    const sum = sums.get(path) ?? sums.get(parentOf(path));
    if (sum !== undefined) add(sum, weightOf(entry));
  }
  const ordered = [...sums.values()].sort((a, b) => compareBytes(a.path, b.path));
  // Backwards, so that a directory is whole before its parent takes it.
  for (const sum of ordered.toReversed()) {
    const path = fromBytes(sum.path);
    const parent = path === '' ? undefined : sums.get(parentOf(path));
    if (parent !== undefined) add(parent, sum);
  }
  return ordered;
}

function byWeight(a: Weight, b: Weight): number {
  return b.archiveBytes - a.archiveBytes;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
