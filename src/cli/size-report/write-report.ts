/**
 * `trace export --report FILE`: which form the file's name asks for, and writing it. Owns what may
 * not go together with it.
 */
import { resolve } from 'node:path';
import { TraceError } from '../../common/errors.ts';
import type { ImageReport } from '../../daemon/image-report.ts';
import type { ImageSizes } from '../../image/sizes/weigh.ts';
import type { Output } from '../output.ts';
import { checkOutput, isSameFile, writeOutput } from '../write-output.ts';
import { htmlReport } from './html-report.ts';
import { jsonReport } from './json-report.ts';
import { type SizeReport, sizeReport } from './size-report.ts';
import { textReport } from './text-report.ts';

export interface ReportPlace {
  /** `-` is standard output. */
  readonly path: string;
  readonly output: Output;
}

/**
 * Throws before anything is built.
 * @param where.image where that goes
 * @param where.inputs files that it is made from
 */
export function checkReport(
  where: ReportPlace & { readonly image: string; readonly inputs: readonly string[] },
): void {
  const { path, image, inputs, output } = where;
  if (path === '-' && (image === '-' || output.json))
    throw new TraceError({
      code: 'two-outputs',
      message: `--report - and ${output.json ? '--json' : '-o -'} both want standard output`,
      hint: 'give --report a file: NAME.json, NAME.html, or any other for text',
      exit: 'usage',
    });
  checkOutput(path, inputs, '--report');
  const same = resolve(path) === resolve(image) || isSameFile(path, image);
  if (path !== '-' && image !== '-' && same)
    throw new TraceError({
      code: 'two-outputs',
      message: '--report and -o name the same file',
      hint: 'give the report another name',
      exit: 'usage',
    });
}

/** Of an image that was weighed. */
export async function writeReport(
  report: ImageReport,
  sizes: ImageSizes | undefined,
  { path, output }: ReportPlace,
): Promise<void> {
  try {
    await writeOutput({ output, path }, [formatted(sizeReport(report, sizes), path)]);
  } catch (cause) {
    if (!(cause instanceof TraceError) || cause.code !== 'output-not-writable') throw cause;
    const { code, message, exit } = cause;
    throw new TraceError({
      code,
      message,
      hint: 'give another path with --report; the image itself is written',
      exit,
      cause,
    });
  }
}

function formatted(report: SizeReport, path: string): Buffer {
  if (path.endsWith('.json')) return jsonReport(report);
  return path.endsWith('.html') ? htmlReport(report) : textReport(report);
}
