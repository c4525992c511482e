/**
 * The report as text for a terminal or a mail: the largest of each kind. Owns its layout.
 */
import type { Weight } from '../../image/sizes/weigh.ts';
import { escapeName, size, table } from '../output.ts';
import type { SizeReport } from './size-report.ts';
import { evidenceOf, nameOf, ownerName, percent, summary } from './words.ts';

const MOST = 20;

export function textReport(report: SizeReport): Buffer {
  const { total, directories, packages, reasons, drops, unread } = report.sizes;
  const weighed = (one: Weight, name: string) => [
    size(one.archiveBytes).padStart(8),
    percent(one.archiveBytes, total.archiveBytes).padStart(7),
    String(one.entries).padStart(7),
    name,
  ];
  const largest = directories.toSorted((a, b) => b.archiveBytes - a.archiveBytes);
  const parts = [
    [`${report.expression}: ${summary(report)}`],
    part(
      'by directory, with all that is in it',
      largest.map((one) => weighed(one, nameOf(one.path))),
    ),
    part(
      'by package',
      packages.map((one) => weighed(one, ownerName(one.owner))),
    ),
    part(
      'by first reason',
      reasons.map((one) => weighed(one, one.kind)),
    ),
    part(
      'cheapest drops: most bytes on the weakest evidence',
      drops.map((one) => [size(one.unreadBytes).padStart(8), evidenceOf(one), nameOf(one.path)]),
    ),
    part(
      'not used of databases of packages',
      unread.map(({ path, why }) => [
        nameOf(Buffer.from(path, 'latin1')),
        escapeName(Buffer.from(why)),
      ]),
    ),
  ];
  const lines = parts.filter((lines) => lines.length > 0).map((lines) => `${lines.join('\n')}\n`);
  return Buffer.from(lines.join('\n'));
}

/** Nothing at all when there are no rows. */
function part(title: string, rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return [];
  const more = rows.length > MOST ? [`  and ${rows.length - MOST} more`] : [];
  return [title, ...table(rows.slice(0, MOST)).map((line) => `  ${line}`), ...more];
}
