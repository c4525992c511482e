/**
 * From a session expression to an image: evaluate, plan, write. The command line (as root) and the
 * daemon (for others) both go this way, so that the bytes are the same.
 * Owns the refusal of doubtful sessions. Must not know HTTP or options' spelling.
 */
import { TraceError } from '../common/errors.ts';
import type { ImageChoices } from '../image/choices.ts';
import { exportImage, type ExportResult, type FrameCacheChoice } from '../image/export.ts';
import type { PackagesFound } from '../image/packages/find-packages.ts';
import type { OuterParts } from '../image/parts/outer-parts.ts';
import { seenByOf } from '../image/formats/seen-by.ts';
import { planImage, type ImagePlan, type SessionFile } from '../image/plan.ts';
import { refusePlan } from '../image/refusal.ts';
import type { ImageSizes } from '../image/sizes/weigh.ts';
import type { Tree } from '../image/tree.ts';
import { evaluate, namedFiles, type SessionSet } from '../sessions/evaluate.ts';
import { parseExpression } from '../sessions/expression.ts';
import type { Store } from '../store/store.ts';
import type { FileAccessRow } from '../store/types.ts';
import { imageReport } from './image-report.ts';
import { type ImageSource, type SourceChoice, withSource } from './image-source.ts';
import type { RememberedImage } from './remembered-image.ts';
import { type SessionSweep, sweptFiles, type Unsearched } from './swept-files.ts';

export interface ImageRequest extends SourceChoice {
  readonly store: Store;
  /** `session-42`, `session-41+session-42`, ... */
  readonly expression: string;
  /** Build also from sessions with loss, and from partial ones. */
  readonly acceptLoss: boolean;
  readonly choices: ImageChoices;
}

export interface PlannedImage {
  readonly set: SessionSet;
  /** What the plan was made of. */
  readonly files: readonly SessionFile[];
  readonly plan: ImagePlan;
  readonly sweeps: readonly SessionSweep[];
  readonly unsearched: readonly Unsearched[];
  readonly source: ImageSource;
}

/** Runs `use` with the plan of an expression and the tree that it was made from. */
export async function withPlan<T>(
  request: ImageRequest,
  use: (planned: PlannedImage) => T | Promise<T>,
): Promise<T> {
  const { choices, store } = request;
  const known = new Map<number, FileAccessRow[]>();
  const rowsOf = (id: number): FileAccessRow[] => {
    const rows = known.get(id) ?? store.files(id);
    known.set(id, rows);
    return rows;
  };
  const rows = { session: (id: number) => store.session(id), files: rowsOf };
  const set = evaluate(parseExpression(request.expression), rows, choices);
  if (!request.acceptLoss) refuseDoubt(set);
  const { tree, recorded, witnessed } = request;
  const mounts = store.mounts(set.root);
  return withSource(set, { tree, recorded, witnessed, mounts }, async (source) => {
    const { sweeps, unsearched, sweepOf } = sweptFiles(set, rowsOf, source.planned);
    const files = namedFiles(set.objects, sweepOf);
    const plan = await planImage({ ...choices, files, tree: source.planned });
    return use({ set, files, plan, sweeps, unsearched, source });
  });
}

export type BuiltImage = Omit<PlannedImage, 'source' | 'files'> & {
  readonly choices: ImageChoices;
  readonly result: ExportResult;
  /** When the snapshot was made that it is of, wall-clock microseconds; null if it is of none. */
  readonly recordedUs: number | null;
  /** Only when something that was asked for tells of them. */
  readonly packages?: PackagesFound | undefined;
  /** Only when it was to be weighed. */
  readonly sizes?: ImageSizes | undefined;
};

export interface BuildRequest extends ImageRequest {
  /** A path or a descriptor. */
  readonly output: string | number;
  /** Of this program, for a manifest. */
  readonly version: string;
  readonly frameCache?: FrameCacheChoice | undefined;
  /** Leave the file at `output` alone if it is this image already. */
  readonly ifChanged?: boolean | undefined;
  /** What stands around the image. */
  readonly outer?: OuterParts | undefined;
  /** Say what the image is made of, too. */
  readonly weigh?: boolean | undefined;
  /** How long files must have been at rest to be known without being read; for tests. */
  readonly settledSeconds?: number | undefined;
}

/**
 * Writes the image that was asked for.
 * @throws TraceError `doubtful-session`, `drift`, `not-strict`, and what evaluating an expression,
 * planning and writing throw
 */
export function buildImage(
  request: BuildRequest,
  /** Is told of the image, and what it was made from. */
  remembered: RememberedImage | null = null,
): Promise<BuiltImage> {
  const {
    choices,
    output,
    version,
    frameCache,
    ifChanged = false,
    outer,
    settledSeconds,
  } = request;
  const { format, compress } = choices;
  const witnessed = remembered === null ? undefined : { settledSeconds };
  return withPlan({ ...request, witnessed }, async ({ source, files, ...found }) => {
    const { set, plan } = found;
    refusePlan(plan, choices);
    const { planned, tree, stored } = source;
    const sessions = set.sessions.map(({ id }) => `session-${id}`);
    const seenBy = format === 'manifest' ? seenByOf(files, { plan, tree: planned }) : undefined;
    const origin = { expression: set.expression, sessions, version, seenBy };
    // First, so that what cannot be read leaves the old image as it is.
    const told = await describeImage(request, { files, plan, tree: planned });
    await stored?.check(plan.entries);
    const { packages } = told;
    const write = ifChanged
      ? (await import('../image/export-if-changed.ts')).exportIfChanged
      : exportImage;
    const result = await write({
      plan,
      tree,
      stored,
      output,
      format,
      compress,
      frameCache,
      origin,
      packages,
      outer,
      settledSeconds,
      onKept: remembered?.onKept,
    });
    const recordedUs = stored?.atUs ?? null;
    const built = { ...found, choices, result, recordedUs, ...told };
    const { witness } = source;
    if (witness) await remembered?.keep(imageReport(built), { root: set.root, witness });
    return built;
  });
}

/** What else than the image itself was asked for. */
async function describeImage(
  { choices, weigh = false }: BuildRequest,
  planned: Pick<PlannedImage, 'files' | 'plan'> & { readonly tree: Tree },
): Promise<Pick<BuiltImage, 'packages' | 'sizes'>> {
  if (!weigh && choices.format !== 'cyclonedx') return {};
  // Only now: few ask for this, and all wait for what is loaded.
  const { packagesOf } = await import('../image/packages/packages-of.ts');
  const packages = await packagesOf(planned.plan.entries, planned.tree);
  if (!weigh) return { packages };
  const { weighImage } = await import('../image/sizes/weigh.ts');
  return { packages, sizes: weighImage({ ...planned, packages }) };
}

/** A session that may lack something must not look like one that does not. */
export function refuseDoubt({ loss, partial, unnamed, sessions }: SessionSet): void {
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
