/**
 * From a session expression to an image: evaluate, plan, write. The command line (as root) and the
 * daemon (for others) both go this way, so that the bytes are the same.
 * Owns the refusal of doubtful sessions. Must not know HTTP or options' spelling.
 */
import { TraceError } from '../common/errors.ts';
import { NativeTree } from '../fanotify-ts/tree.ts';
import type { ImageChoices } from '../image/choices.ts';
import { exportImage, type ExportResult, type FrameCacheChoice } from '../image/export.ts';
import type { OuterParts } from '../image/parts/outer-parts.ts';
import { planImage, type ImagePlan } from '../image/plan.ts';
import { refusePlan } from '../image/refusal.ts';
import { evaluate, namedFiles, type SessionSet } from '../sessions/evaluate.ts';
import { parseExpression } from '../sessions/expression.ts';
import type { Store } from '../store/store.ts';

export interface ImageRequest {
  readonly store: Store;
  /** `session-42`, `session-41+session-42`, ... */
  readonly expression: string;
  /** Build also from sessions with loss, and from partial ones. */
  readonly acceptLoss: boolean;
  readonly choices: ImageChoices;
  /** Read the tree here instead of where it was recorded. */
  readonly tree?: Buffer | undefined;
}

export interface PlannedImage {
  readonly set: SessionSet;
  readonly plan: ImagePlan;
  readonly tree: NativeTree;
}

/** Runs `use` with the plan of an expression and the tree that it was made from. */
export async function withPlan<T>(
  request: ImageRequest,
  use: (planned: PlannedImage) => T | Promise<T>,
): Promise<T> {
  const { choices } = request;
  const set = evaluate(parseExpression(request.expression), request.store, choices);
  if (!request.acceptLoss) refuseDoubt(set);
  const mounts = request.store.mounts(set.root);
  const tree = NativeTree.open(request.tree ?? set.root, { mounts });
  try {
    const plan = await planImage({ ...choices, files: namedFiles(set.objects), tree });
    return await use({ set, plan, tree });
  } finally {
    tree.close();
  }
}

export type BuiltImage = Omit<PlannedImage, 'tree'> & {
  readonly choices: ImageChoices;
  readonly result: ExportResult;
};

export interface BuildRequest extends ImageRequest {
  /** A path or a descriptor. */
  readonly output: string | number;
  /** Of this program, for a manifest. */
  readonly version: string;
  readonly frameCache?: FrameCacheChoice | undefined;
  /** What stands around the image. */
  readonly outer?: OuterParts | undefined;
}

export function buildImage(request: BuildRequest): Promise<BuiltImage> {
  const { choices, output, version, frameCache, outer } = request;
  const { format, compress } = choices;
  return withPlan(request, async ({ set, plan, tree }) => {
    refusePlan(plan, choices);
    const sessions = set.sessions.map(({ id }) => `session-${id}`);
    const origin = { expression: set.expression, sessions, version };
    const result = await exportImage({
      plan,
      tree,
      output,
      format,
      compress,
      frameCache,
      origin,
      outer,
    });
    return { set, plan, choices, result };
  });
}

/** A session that may lack something must not look like one that does not. */
function refuseDoubt({ loss, partial, unnamed, sessions }: SessionSet): void {
  const lossy = sessions.filter((session) => session.loss > 0).map(({ id }) => `session-${id}`);
  const doubts = [
    ...(loss > 0 ? [`${loss} events may be missing in ${lossy.join(', ')}`] : []),
    ...(partial.length > 0
      ? [`${partial.map((id) => `session-${id}`).join(', ')} began when the client was already up`]
      : []),
    ...(unnamed > 0 ? [`${unnamed} objects have no known name`] : []),
  ];
  if (doubts.length === 0) return;
  throw new TraceError({
    code: 'doubtful-session',
    message: doubts.join('; '),
    hint: '`trace show` says what and when; --accept-loss builds from what is there, or record a whole boot again',
    exit: 'data',
  });
}
