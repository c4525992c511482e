/** `trace show SESSION`: client, boot evidence, tier, counts, losses, marks, and the image to be. */
import type { Command } from 'commander';
import { TraceError } from '../../common/errors.ts';
import type { SessionTier } from '../../common/words.ts';
import { withPlan } from '../../daemon/build-image.ts';
import {
  type SweepReport,
  sweepReports,
  type UnsearchedReport,
  unsearchedReports,
} from '../../daemon/image-report.ts';
import { countOperations } from '../../sessions/evaluate.ts';
import type { MissingTotal, SessionRow, Store } from '../../store/store.ts';
import type { Register } from '../commands.ts';
import { size, table, time } from '../output.ts';
import { sessionArgument } from '../session-argument.ts';
import { bytesText, clientText, lossShape, sessionShape, stateOf } from '../shapes.ts';

/** Tiers that know of names that were looked up in vain, and so of none, too. */
const NAMING: ReadonlySet<SessionTier> = new Set(['exact+names', 'import']);

/** What an export would hold now, or why that can't be said. */
type Outlook =
  | {
      readonly entries: number;
      readonly bytes: number;
      readonly reasons: Readonly<Record<string, number>>;
      readonly drift: number;
      readonly sweeps: readonly SweepReport[];
      readonly sweeps_not_looked_for: readonly UnsearchedReport[];
      readonly problems: readonly string[];
    }
  | { readonly unknown: string };

export const registerShow: Register = (program, context) => {
  program
    .command('show <session>')
    .description('one session: client, boot evidence, tier, counts, loss, marks')
    .option('--tree <dir>', 'look at the root here instead of where it was recorded')
    .action(async (name: string, options: { tree?: string }, command: Command) => {
      const here = context(command);
      const { output } = here;
      await here.withStore(async (store) => {
        const session = sessionArgument(store, name);
        const losses = store.losses({ sessionId: session.id });
        const missing = store.missingTotal(session.id);
        const operations = countOperations(store.files(session.id));
        const image = await outlook(store, session, options.tree);
        output.value({
          ...sessionShape(session),
          operations,
          missing,
          losses: losses.map(lossShape),
          image,
        });
        const rows: string[][] = [
          ['client', output.name(Buffer.from(clientText(session)))],
          ['root', output.name(session.root)],
          ...(session.label === null ? [] : [['label', output.name(Buffer.from(session.label))]]),
          ['began', `${time(session.openedUs)} (${session.evidence.kind})`],
          ['last access', time(session.lastUs)],
          [
            'ended',
            session.closedUs === null
              ? 'still open'
              : `${time(session.closedUs)} (${output.name(Buffer.from(session.closeReason ?? ''))})`,
          ],
          ['state', stateOf(session)],
          ['tier', session.tier],
          ['files', String(session.files)],
          ['bytes read', bytesText(session)],
          ['operations', countsText(operations)],
          ...(NAMING.has(session.tier) || missing.names > 0
            ? [['missing names', missingText(missing)]]
            : []),
          ...session.marks.map(({ atUs, text }) => [
            'mark',
            `${time(atUs)} ${output.name(Buffer.from(text))}`,
          ]),
          ...session.notes.map(({ kind, atUs, detail }) => [
            'note',
            `${output.name(Buffer.from(kind))}, ${time(atUs)}: ${output.name(Buffer.from(detail))}`,
          ]),
          ...losses.map(({ where, count, fromUs, toUs, detail }) => [
            'loss',
            `${output.name(Buffer.from(where))}: ${count}, ${time(fromUs)} to ${time(toUs)} ${output.name(Buffer.from(detail ?? ''))}`,
          ]),
          ...('unknown' in image
            ? [['image', output.name(Buffer.from(image.unknown))]]
            : [
                [
                  'image',
                  `${image.entries} entries, ${size(image.bytes)}; ${countsText(image.reasons)}`,
                ],
                ...image.sweeps.map(({ path, left_out, kept }) => [
                  'sweep',
                  `of /${path === '.' ? '' : path}: ${left_out} paths left out, ${kept} files read that stay`,
                ]),
                ...image.problems.map((problem) => ['problem', output.name(Buffer.from(problem))]),
              ]),
        ];
        output.line(`session-${session.id}`);
        for (const line of table(rows)) output.line(`  ${line}`);
      });
    });
};

function missingText({ names, dropped }: MissingTotal): string {
  return dropped === 0 ? String(names) : `${names}; ${dropped} lookups more were not kept`;
}

function countsText(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([word, count]) => `${count} ${word}`)
    .join(', ');
}

async function outlook(
  store: Store,
  { id }: SessionRow,
  tree: string | undefined,
): Promise<Outlook> {
  try {
    return await withPlan(
      {
        store,
        expression: `session-${id}`,
        acceptLoss: true,
        choices: {},
        tree: tree === undefined ? undefined : Buffer.from(tree),
      },
      ({ plan, sweeps, unsearched }) => ({
        entries: plan.entries.length,
        bytes: plan.bytes,
        reasons: plan.countsByReason,
        drift: plan.drift.length,
        sweeps: sweepReports({ plan, sweeps }),
        sweeps_not_looked_for: unsearchedReports({ unsearched }),
        problems: plan.problems.map(({ message }) => message),
      }),
    );
  } catch (error) {
    if (error instanceof TraceError) return { unknown: error.message };
    throw error;
  }
}
