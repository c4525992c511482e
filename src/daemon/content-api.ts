/**
 * What goes over the control socket about kept content. Owns the shapes, which are the JSON of
 * `trace snapshot` and `trace content` (docs/json.md).
 */
import { z } from 'zod';
import type { JsonPath } from '../common/bytes.ts';
import { imageRules } from './api.ts';

const expression = z.string().min(1).max(10_000);

export const keepRequest = z.strictObject({
  expression,
  rules: imageRules,
  /** Give up what an earlier snapshot has and the root has not any more. */
  replace: z.boolean().optional(),
});

export type KeepRequestBody = Readonly<z.input<typeof keepRequest>>;

export const removeRequest = z.strictObject({ expression });

export interface SnapshotBody {
  readonly snapshot: string;
  readonly root: JsonPath;
  readonly at: string;
  /** Names that the root had. */
  readonly objects: number;
  /** Names whose content is kept, and its bytes. */
  readonly files: number;
  readonly bytes: number;
}

export interface KeptBody extends SnapshotBody {
  /** Blobs that were not kept before; `shared`: those that take no space of their own. */
  readonly added: { readonly blobs: number; readonly bytes: number; readonly shared: number };
  /** What was not as the sessions saw it, and is kept as it was then. */
  readonly drift: readonly (JsonPath & { readonly what: string })[];
  /** Sessions that go on: what they touch from now on is not kept. */
  readonly open: readonly string[];
}

export interface ContentBody {
  readonly folder: string;
  readonly max_bytes: number;
  readonly blobs: number;
  readonly bytes: number;
  /** The newest first. */
  readonly snapshots: readonly (SnapshotBody | DamagedBody)[];
}

export interface DamagedBody {
  readonly snapshot: string;
  readonly damaged: true;
}

export interface PrunedBody {
  /** Snapshots that went. */
  readonly snapshots: readonly string[];
  readonly blobs: number;
  readonly bytes: number;
}

export interface CheckedBody {
  readonly blobs: number;
  readonly bytes: number;
  /** Blobs that were not what they should be, and are gone now. */
  readonly damaged: number;
  readonly snapshots: readonly {
    readonly snapshot: string;
    readonly damaged: boolean;
    /** Names whose content is gone. */
    readonly missing: number;
  }[];
}

/** What came of keeping by itself, since the daemon's start. */
export interface KeepingBody {
  readonly waiting: number;
  readonly kept: number;
  readonly failed: number;
  /** Why the last one failed that did. */
  readonly last_failure: string | null;
}
