/**
 * What is told of an image that was built. Owns the shape, which is the JSON of `trace export`
 * (docs/json.md) and the first line of the daemon's answer.
 */
import { jsonPath, type JsonPath } from '../common/bytes.ts';
import type { SessionTier } from '../common/words.ts';
import { unreadProblems } from '../image/packages/unread-problems.ts';
import type { ImagePart } from '../image/parts/part.ts';
import type { Drift } from '../image/plan-types.ts';
import type { Doubt } from '../image/sweeps/sweep.ts';
import type { BuiltImage } from './build-image.ts';
import type { Unsearched } from './swept-files.ts';

export interface ImageReport extends PlanReport {
  readonly expression: string;
  /** When the snapshot was made that it is of; null for the root as it is. */
  readonly as_recorded: string | null;
  /** The marks that bound it. */
  readonly since: string | null;
  readonly until: string | null;
  readonly tier: string;
  readonly loss: number;
  readonly partial: readonly string[];
  /** Sessions that were still open: they may grow. */
  readonly open: readonly string[];
  /** Sweeps that left their traces in the sessions. */
  readonly sweeps: readonly SweepReport[];
  /** Sessions in which none were looked for. */
  readonly sweeps_not_looked_for: readonly UnsearchedReport[];
}

/** What is told of the image itself, whatever it was made from. */
export interface PlanReport {
  /** Length of what was written. */
  readonly bytes: number;
  readonly format: string;
  /** Null for what is not compressed. */
  readonly compression: CompressionReport | null;
  /** It was there already, and nothing was written. */
  readonly unchanged: boolean;
  /** What follows what in it; none of what is no archive. */
  readonly parts: readonly ImagePart[];
  readonly entries: number;
  /** Bytes of file content in it. */
  readonly content_bytes: number;
  /** Entries by their first reason. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly drift: readonly (JsonPath & { readonly what: string })[];
  /** Extended attributes that are in a file of the image; null if no entry has any. */
  readonly attributes: {
    readonly count: number;
    readonly entries: number;
    readonly file: string;
    /** The image's /init sets them. */
    readonly restored: boolean;
  } | null;
  readonly not_carried: readonly (JsonPath & { readonly what: string })[];
  readonly left_out: readonly (JsonPath & { readonly why: string })[];
  /** What each rule did. */
  readonly rules: readonly RuleReport[];
  readonly problems: readonly {
    readonly code: string;
    readonly message: string;
    readonly hint: string;
  }[];
}

export interface RuleReport {
  /** As a file of rules has it. */
  readonly rule: string;
  readonly files: number;
  readonly bytes: number;
  readonly kept: readonly JsonPath[];
}

export interface SweepReport extends JsonPath {
  readonly session: string;
  readonly from: string;
  readonly to: string;
  /** What it alone touched. */
  readonly objects: number;
  /** Paths that are not in the image because of that, and the sizes of files among them. */
  readonly left_out: number;
  readonly bytes: number;
  /** What it read and stays, since later use of it may not have shown, and why. */
  readonly kept: number;
  readonly doubt: Doubt | null;
}

export interface UnsearchedReport {
  readonly session: string;
  readonly tier: SessionTier;
  /** What of it cannot tell a sweep from a boot. */
  readonly why: Unsearched['why'];
}

export interface CompressionReport {
  readonly method: string;
  readonly level: number;
  /** Length of the archive before. */
  readonly archive_bytes: number;
  readonly frames: number;
  /** Frames that were found in --frame-cache and that were not; null without one. */
  readonly cache: {
    readonly hits: number;
    readonly misses: number;
    readonly damaged: number;
    readonly failed: number;
  } | null;
}

export function imageReport(built: BuiltImage): ImageReport {
  const { set, recordedUs } = built;
  return {
    expression: set.expression,
    as_recorded: recordedUs === null ? null : new Date(recordedUs / 1000).toISOString(),
    since: set.since,
    until: set.until,
    tier: set.tier,
    loss: set.loss,
    partial: set.partial.map(nameOf),
    open: set.open.map(nameOf),
    sweeps: sweepReports(built),
    sweeps_not_looked_for: unsearchedReports(built),
    ...planReport(built),
  };
}

export function driftReport(drift: readonly Drift[]): PlanReport['drift'] {
  return drift.map(({ path, what }) => ({ ...jsonPath(path), what }));
}

export function planReport({
  plan,
  choices,
  result,
  packages,
}: Pick<BuiltImage, 'plan' | 'choices' | 'result' | 'packages'>): PlanReport {
  return {
    bytes: result.bytes,
    format: choices.format ?? 'newc',
    compression: compressionReport(choices, result),
    unchanged: result.unchanged === true,
    parts: result.parts,
    entries: plan.entries.length,
    content_bytes: plan.contentBytes,
    reasons: plan.countsByReason,
    drift: driftReport(plan.drift),
    attributes: plan.attributes && {
      ...plan.attributes,
      file: `/${plan.attributes.file.toString()}`,
    },
    not_carried: plan.notCarried.map(({ path, what }) => ({ ...jsonPath(path), what })),
    left_out: plan.leftOut.map(({ path, why }) => ({ ...jsonPath(path), why })),
    rules: plan.rules.map(({ include, glob, files, bytes, kept }) => ({
      rule: `${include ? '+' : '-'} ${glob.toString()}`,
      files,
      bytes,
      kept: kept.map(jsonPath),
    })),
    problems: [
      ...plan.problems,
      ...(result.frames?.problems ?? []),
      ...(result.problems ?? []),
      ...(packages === undefined ? [] : unreadProblems(packages)),
    ].map(({ code, message, hint }) => ({ code, message, hint })),
  };
}

/** Without those whose files are all told with another one. */
export function sweepReports({
  sweeps,
  plan,
}: Pick<BuiltImage, 'sweeps' | 'plan'>): readonly SweepReport[] {
  return sweeps
    .map(({ session, top, fromUs, toUs, objects, kept, doubt }, number) => {
      const out = plan.sweptOut.get(number);
      return {
        session: nameOf(session),
        ...jsonPath(top),
        from: new Date(fromUs / 1000).toISOString(),
        to: new Date(toUs / 1000).toISOString(),
        objects,
        left_out: out?.paths ?? 0,
        bytes: out?.bytes ?? 0,
        kept,
        doubt,
      };
    })
    .filter(({ objects, kept }) => objects > 0 || kept > 0);
}

export function unsearchedReports({
  unsearched,
}: Pick<BuiltImage, 'unsearched'>): readonly UnsearchedReport[] {
  return unsearched.map(({ session, tier, why }) => ({ session: nameOf(session), tier, why }));
}

function compressionReport(
  { compress }: BuiltImage['choices'],
  { frames }: BuiltImage['result'],
): CompressionReport | null {
  if (compress === undefined || frames === undefined) return null;
  const { archiveBytes, count, cache } = frames;
  return { ...compress, archive_bytes: archiveBytes, frames: count, cache };
}

function nameOf(id: number): string {
  return `session-${id}`;
}
