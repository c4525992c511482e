/**
 * What is told of an image that was built. Owns the shape, which is the JSON of `trace export`
 * (docs/json.md) and the first line of the daemon's answer.
 */
import { jsonPath, type JsonPath } from '../common/bytes.ts';
import type { BuiltImage } from './build-image.ts';

export interface ImageReport {
  readonly expression: string;
  /** Length of the archive. */
  readonly bytes: number;
  readonly entries: number;
  /** Bytes of file content in it. */
  readonly content_bytes: number;
  /** Entries by their first reason. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly tier: string;
  readonly loss: number;
  readonly partial: readonly string[];
  /** Sessions that were still open: they may grow. */
  readonly open: readonly string[];
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
  readonly problems: readonly {
    readonly code: string;
    readonly message: string;
    readonly hint: string;
  }[];
}

export function imageReport({ set, plan, result }: BuiltImage): ImageReport {
  return {
    expression: set.expression,
    bytes: result.bytes,
    entries: plan.entries.length,
    content_bytes: plan.contentBytes,
    reasons: plan.countsByReason,
    tier: set.tier,
    loss: set.loss,
    partial: set.partial.map(nameOf),
    open: set.open.map(nameOf),
    drift: plan.drift.map(({ path, what }) => ({ ...jsonPath(path), what })),
    attributes: plan.attributes && {
      ...plan.attributes,
      file: `/${plan.attributes.file.toString()}`,
    },
    not_carried: plan.notCarried.map(({ path, what }) => ({ ...jsonPath(path), what })),
    left_out: plan.leftOut.map(({ path, why }) => ({ ...jsonPath(path), why })),
    problems: plan.problems.map(({ code, message, hint }) => ({ code, message, hint })),
  };
}

function nameOf(id: number): string {
  return `session-${id}`;
}
