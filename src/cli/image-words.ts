/**
 * What a person is told of an image that was made, whatever it was made from: a session or a list.
 * Must not know sessions.
 */
import type { JsonPath } from '../common/bytes.ts';
import type { PlanReport } from '../daemon/image-report.ts';
import { size, type Output } from './output.ts';

export function warnOfImage(output: Output, report: PlanReport): void {
  for (const { message, hint } of report.problems) output.warn(message, hint);
  for (const { rule, kept } of report.rules)
    if (kept.length > 0)
      output.warn(
        `the rule '${rule}' keeps ${kept.length} directories that something else needs, ` +
          theFirst(kept),
      );
  const { failed = 0, damaged = 0 } = report.compression?.cache ?? {};
  if (failed > 0)
    output.warn(
      `${failed} frames could not be kept`,
      'see if --frame-cache has space and is yours',
    );
  if (damaged > 0)
    output.warn(`${damaged} kept frames were damaged and made again`, 'check the disk they are on');
  const { attributes } = report;
  if (attributes?.restored === false)
    output.warn(
      `${attributes.count} attributes (capabilities, ACLs) of ${attributes.entries} entries are in ` +
        `${attributes.file} of the image, and nothing sets them at boot`,
      `there: cd / && setfattr -h --restore=${attributes.file}; or a generated --init, with setfattr in the root`,
    );
  if (report.not_carried.length > 0)
    output.warn(
      `${report.not_carried.length} things that no image can carry (sockets, attributes of one file system), ` +
        `${theFirst(report.not_carried)}: ${report.not_carried[0]?.what ?? ''}`,
    );
}

/** The last lines: what each rule did, what `between` says, where the image is and what it holds. */
export function tellImage(
  output: Output,
  report: PlanReport,
  {
    path,
    of,
    between = [],
  }: { readonly path: string; readonly of: string; readonly between?: readonly string[] },
): void {
  for (const { rule, files, bytes } of report.rules)
    output.line(`${rule}: ${files} paths, ${size(bytes)}`);
  for (const line of between) output.line(line);
  const { unchanged, entries, bytes, attributes } = report;
  output.line(
    `${path}: ${unchanged ? 'unchanged, ' : ''}${entries} entries, ${size(bytes)}${compressed(report)}, of ${of}`,
  );
  if (attributes?.restored === true)
    output.line(`its /init sets ${attributes.count} attributes of ${attributes.entries} entries`);
}

export function theFirst(found: readonly JsonPath[]): string {
  return `the first is ${found[0]?.path ?? ''}`;
}

/** ` from 300 MB by zstd, 1 of 40 frames new`. */
function compressed({ compression }: PlanReport): string {
  if (compression === null) return '';
  const { method, archive_bytes, cache } = compression;
  // Frames that are too small to be kept are in neither count.
  const anew = cache === null ? '' : `, ${cache.misses} of ${cache.hits + cache.misses} frames new`;
  return ` from ${size(archive_bytes)} by ${method}${anew}`;
}
