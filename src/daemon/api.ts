/**
 * What goes over the control socket: one shape for each request, checked where it arrives.
 * Owns the shapes; paths travel as base64, because they are bytes.
 */
import { z } from 'zod';
import type { JsonPath } from '../common/bytes.ts';
import { RULES } from '../image/needs/rule.ts';
import {
  COMPRESSION_METHODS,
  DRIFT_POLICIES,
  IMAGE_FORMATS,
  INIT_KINDS,
} from '../image/choices.ts';
import { MAX_GLOB } from '../image/rules/glob.ts';
import { MAX_RULES } from '../image/rules/parse-rules.ts';
import type { KeepingBody } from './content-api.ts';

const path = z
  .base64()
  .max(8192)
  .transform((text) => Buffer.from(text, 'base64'));

export const startRequest = z.strictObject({
  root: path,
  label: z.string().max(200).nullable(),
  clients: z.array(z.string().max(100)).max(1000),
  onLoss: z.enum(['warn', 'fail']).default('warn'),
  keepContent: z.boolean().default(false),
});

export const stopRequest = z.strictObject({ root: path.nullable() });

const markText = z.string().min(1).max(1000);

export const markRequest = z.strictObject({ text: markText });

export const newSessionRequest = z.strictObject({
  client: z.string().min(1).max(100),
  root: path.nullable(),
});

export const labelRequest = z.strictObject({
  client: z.string().min(1).max(100),
  label: z.string().max(1000).nullable(),
});

const imageRule = z.strictObject({
  include: z.boolean(),
  glob: z
    .string()
    .max(MAX_GLOB)
    .regex(/^[\x01-\xff]+$/),
});
export const imageRules = z.array(imageRule).max(MAX_RULES).readonly();
const id = z.number().int().min(0).max(0xfffffffe);
const idChanges = z
  .array(z.strictObject({ from: id, to: id }))
  .max(10_000)
  .readonly();

/** ImageChoices of the image room. */
const imageChoices = z.strictObject({
  operations: z.number().int().min(1).max(0xffffffff).optional(),
  without: z.array(z.enum(RULES)).max(100).readonly().optional(),
  rules: imageRules.optional(),
  skeleton: z.boolean().optional(),
  keepSweeps: z.boolean().optional(),
  strict: z.boolean().optional(),
  onDrift: z.enum(DRIFT_POLICIES).optional(),
  since: markText.optional(),
  until: markText.optional(),
  align: z.boolean().optional(),
  format: z.enum(IMAGE_FORMATS).optional(),
  compress: z
    .strictObject({ method: z.enum(COMPRESSION_METHODS), level: z.number().int().min(0).max(100) })
    .optional(),
  owners: idChanges.optional(),
  groups: idChanges.optional(),
  allRoot: z.boolean().optional(),
  earlyMicrocode: z.boolean().optional(),
  init: z.enum(INIT_KINDS).optional(),
});

export const imageRequest = z.strictObject({
  expression: z.string().min(1).max(10_000),
  acceptLoss: z.boolean(),
  choices: imageChoices,
  /** Of the root as it was kept, not as it is. */
  asRecorded: z.boolean().optional(),
  /** Say what the image is made of, too. */
  weigh: z.boolean().optional(),
});

export type ImageRequestBody = z.infer<typeof imageRequest>;

/** In the query, hence text. */
export const watchRequest = z.strictObject({
  most: z.coerce.number().int().min(0).max(1000).default(200),
});

/** How an error travels. */
export interface ErrorBody {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint?: string;
    readonly exit: string;
  };
}

export interface RecordingBody {
  readonly root: JsonPath;
  readonly recording: number;
  readonly label: string | null;
  readonly objects: number;
  /** Its first listing is under way: the number of objects and warnings come with its end. */
  readonly walking: boolean;
  readonly since: string;
  /** Why it does not record now: the root is not there. null while it does. */
  readonly waiting: string | null;
}

export type WarningBodies = readonly { readonly message: string; readonly hint: string }[];

export interface StartBody {
  readonly recording: RecordingBody;
  readonly tier: string;
  readonly warnings: WarningBodies;
}

export interface StopBody {
  readonly stopped: readonly StoppedBody[];
  /** What the listings of the roots could not take in. */
  readonly warnings: WarningBodies;
}

export interface StoppedBody {
  readonly root: JsonPath;
  readonly sessions: readonly string[];
  readonly losses: readonly { readonly where: string; readonly count: number }[];
  /** It lost something, and was started with `--on-loss fail`. */
  readonly failed: boolean;
}

export interface StatusBody {
  readonly pid: number;
  readonly version: string;
  readonly database: string;
  readonly tier: string;
  readonly nfsd: { readonly state: string; readonly events: number; readonly lost: number };
  readonly fanotify: {
    readonly events: number;
    readonly filtered: number;
    readonly lost: number;
  };
  readonly unresolved: number;
  readonly recordings: readonly RecordingBody[];
  /** What the listings of the roots could not take in. */
  readonly warnings: WarningBodies;
  /** Of sessions that are kept by themselves. */
  readonly content: KeepingBody;
  readonly sessions_open: number;
  /** Clients with an open session, by address; the first thousand. */
  readonly clients: readonly {
    readonly client: string;
    readonly label: string | null;
    readonly name: string | null;
    readonly sessions: readonly string[];
  }[];
  /** What bounds on what clients can fill made the daemon drop, since it started. */
  readonly dropped: {
    readonly accesses: number;
    readonly evidence: number;
    readonly identities: number;
    readonly boots: number;
  };
  readonly last_commit: string;
  /** Why what is recorded does not reach the database now; null if it does. */
  readonly failure: string | null;
  /** Commits that wait in memory for the failure to pass. */
  readonly uncommitted: number;
}

export interface LabelBody {
  readonly client: string;
  readonly label: string | null;
}

export interface MarkBody {
  readonly text: string;
  readonly sessions: readonly string[];
}

/** An open session in the live feed. */
export interface WatchedSession {
  readonly session: string;
  readonly client: string;
  readonly client_label: string | null;
  readonly client_name: string | null;
  readonly recording: number;
  readonly partial: boolean;
  readonly opened: string;
  readonly last: string;
  readonly files: number;
  readonly accesses: number;
  readonly bytes: number;
  /** Sizes of the files that an image would carry, without its closure. */
  readonly image_bytes: number;
  readonly loss: number;
}

/** One look at everything that goes on. */
export interface WatchBody {
  readonly at: string;
  /** Another value means that the counts of `seen` began again. */
  readonly feed: string;
  readonly status: Omit<StatusBody, 'clients'>;
  readonly clients: number;
  readonly open_sessions: number;
  /** Open sessions that are in none of the figures below yet. */
  readonly uncounted: number;
  /** Of the open sessions. */
  readonly total: WatchCounts;
  /** Since the feed began: only goes up. */
  readonly seen: WatchCounts;
  /** For each of the last 300 seconds, oldest first. */
  readonly new_files: readonly number[];
  /** The most active first. */
  readonly sessions: readonly WatchedSession[];
}

export interface WatchCounts {
  readonly files: number;
  readonly accesses: number;
  readonly bytes: number;
  readonly loss: number;
}
