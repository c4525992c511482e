/**
 * The report that `trace export --report` writes beside an image: what it is, and its sizes. Owns
 * the shape only.
 */
import type { BuiltImage } from '../../daemon/build-image.ts';
import type { Compression } from '../../image/choices.ts';
import type { ImageSizes } from '../../image/sizes/weigh.ts';

export interface SizeReport {
  readonly version: string;
  readonly expression: string;
  readonly sessions: readonly string[];
  readonly format: string;
  readonly compression: Compression | null;
  /** Length of what was written. */
  readonly bytes: number;
  readonly sizes: ImageSizes;
}

/** Of an image that was weighed. */
export function sizeReport(built: BuiltImage, version: string): SizeReport {
  const { set, choices, result, sizes } = built;
  if (sizes === undefined) throw new RangeError('an image is weighed before it is reported on');
  return {
    version,
    expression: set.expression,
    sessions: set.sessions.map(({ id }) => `session-${id}`),
    format: choices.format ?? 'newc',
    compression: choices.compress ?? null,
    bytes: result.bytes,
    sizes,
  };
}
