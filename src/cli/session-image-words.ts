/** What a person is told of an image that was made from sessions. */
import { GIVERS } from '../common/words.ts';
import type { ImageReport, SweepReport, UnsearchedReport } from '../daemon/image-report.ts';
import type { LeftOut } from '../image/plan-types.ts';
import type { Doubt } from '../image/sweeps/sweep.ts';
import { tellImage, theFirst, warnOfImage } from './image-words.ts';
import { size, type Output } from './output.ts';

export function tellSessionImage(output: Output, report: ImageReport, path: string): void {
  const between = report.sweeps
    .filter(({ left_out }) => left_out > 0)
    .map((sweep) => `${sweepText(sweep)}: ${sweep.left_out} paths, ${size(sweep.bytes)}, left out`);
  between.push(...report.sweeps_not_looked_for.flatMap(unsearchedText));
  const out = Map.groupBy(report.left_out, ({ why }) => why);
  for (const [why, words] of LEFT_OUT) {
    const { length } = out.get(why) ?? [];
    if (length > 0) between.push(`${words}: ${length} paths, left out`);
  }
  tellImage(output, report, { path, of: report.expression, between });
}

/** But what rules and sweeps did, which have lines of their own. */
const LEFT_OUT: readonly (readonly [LeftOut['why'], string])[] = [
  ['created', 'made by the session'],
  ['removed', 'removed by the session'],
  ['listing', 'only come across while their directory was listed'],
  ['operations', 'not used as --ops asks'],
  ['drift', 'not as recorded'],
];

/** `sweep of /usr/share in session-42`; the root's own path is `.` in JSON. */
function sweepText({ path, session }: SweepReport): string {
  return `sweep of /${path === '.' ? '' : path} in ${session}`;
}

/**
 * Only where a person expects sweeps to be found: nothing went through the root of a given session
 * but what was given, and of loss and partial ones there are warnings.
 */
function unsearchedText({ session, tier, why }: UnsearchedReport): string[] {
  const isGiven = GIVERS.some((giver) => giver === tier);
  if (why !== 'tier' || isGiven) return [];
  return [`sweeps in ${session}: not looked for, its tier '${tier}' does not show enough`];
}

const DOUBTS: Readonly<Record<Doubt, string>> = {
  unseen: 'the client may have used some later without asking the server, as NFSv4 lets it',
  busy: 'something else used new files meanwhile',
};

export function warnOfDrift(output: Output, drift: ImageReport['drift']): void {
  for (const [what, drifted] of Map.groupBy(drift, (one) => one.what))
    output.warn(
      `${drifted.length} recorded objects ${what} since they were used, ${theFirst(drifted)}`,
    );
}

export function warnOfSessionImage(output: Output, report: ImageReport): void {
  warnOfImage(output, report);
  warnOfDrift(output, report.drift);
  for (const sweep of report.sweeps)
    if (sweep.doubt !== null && sweep.kept > 0)
      output.warn(
        `the ${sweepText(sweep)} read ${sweep.kept} files that stay: ${DOUBTS[sweep.doubt]}`,
        'record a boot without it, bound the image by marks, or --exclude what is not wanted',
      );
  if (report.open.length > 0)
    output.warn(
      `${report.open.join(', ')} still open: what comes later is not in this image`,
      'end them with `trace stop` or `trace session new`',
    );
  if (report.loss > 0 || report.partial.length > 0)
    output.warn(
      `built from doubtful sessions: loss ${report.loss}, partial ${report.partial.length}`,
      '`trace show` says what and when',
    );
}
