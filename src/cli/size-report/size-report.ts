/**
 * The report that `trace export --report` writes beside an image: what it is, and its sizes. Owns
 * the shape only.
 */
import type { ImageReport } from '../../daemon/image-report.ts';
import type { ImageSizes } from '../../image/sizes/weigh.ts';
import { parseExpression, sessionsIn } from '../../sessions/expression.ts';
import { version } from '../version.ts';

export interface SizeReport {
  /** Of this program. */
  readonly version: string;
  readonly expression: string;
  readonly sessions: readonly string[];
  readonly format: string;
  readonly compression: { readonly method: string; readonly level: number } | null;
  /** Length of what was written. */
  readonly bytes: number;
  readonly sizes: ImageSizes;
}

/** Of an image that was weighed. */
export function sizeReport(report: ImageReport, sizes: ImageSizes | undefined): SizeReport {
  if (sizes === undefined) throw new RangeError('an image is weighed before it is reported on');
  const { expression, format, compression, bytes } = report;
  return {
    version: version(),
    expression,
    sessions: sessionsIn(parseExpression(expression)).map((id) => `session-${id}`),
    format,
    compression: compression && { method: compression.method, level: compression.level },
    bytes,
    sizes,
  };
}
