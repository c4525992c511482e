/** `trace export EXPRESSION -o FILE`: the image of one or several sessions. */
import type { Command } from 'commander';
import type { JsonPath } from '../../common/bytes.ts';
import { TraceError } from '../../common/errors.ts';
import { buildImage } from '../../daemon/build-image.ts';
import { imageReport, type ImageReport } from '../../daemon/image-report.ts';
import { OPERATIONS } from '../../common/words.ts';
import { type ImageChoices, INIT_KINDS } from '../../image/choices.ts';
import { RULES } from '../../image/needs/rule.ts';
import { initKind } from '../init-kind.ts';
import { bitsOf } from '../operations.ts';
import type { Register } from '../commands.ts';
import type { Context } from '../context.ts';
import { required } from '../required.ts';
import { rulesOf } from '../rules.ts';
import { size, type Output } from '../output.ts';
import { writeOutput } from '../write-output.ts';

interface ExportOptions {
  readonly output: string;
  readonly acceptLoss?: boolean;
  readonly tree?: string;
  readonly ops?: string;
  readonly without?: string;
  readonly init?: string;
}

export const registerExport: Register = (program, context) => {
  program
    .command('export <expression>')
    .description('build the cpio image of a session (session-42, 41+42, 42-41, 41&42)')
    .option('-o, --output <file>', 'the image, - is standard output (required)')
    .option('--accept-loss', 'build also from sessions with loss, or that began with the client up')
    .option('--ops <list>', `only what one of these was done to (${OPERATIONS.join(',')})`)
    .option('--without <list>', `add nothing by these rules (${RULES.join(',')})`)
    .option('--init <kind>', `what the kernel runs (${INIT_KINDS.join(',')}; own if there is one)`)
    .option('--tree <dir>', 'read the root here instead of where it was recorded')
    .action(async (expression: string, given: Partial<ExportOptions>, command: Command) => {
      const options = { ...given, output: required(given.output, '-o <file>') };
      const here = context(command);
      const { output } = here;
      if (output.json && options.output === '-')
        throw new TraceError({
          code: 'two-outputs',
          message: '--json and -o - both want standard output',
          hint: 'write the image to a file with -o, or leave --json out',
          exit: 'usage',
        });
      const asked = process.geteuid?.() !== 0 && options.tree === undefined && here.ownDatabase;
      const report = await (asked ? throughDaemon : directly)(here, expression, options);
      warn(output, report);
      if (options.output === '-') return;
      output.value({ ...report, output: options.output });
      output.line(
        `${options.output}: ${report.entries} entries, ${size(report.bytes)}, of ${report.expression}`,
      );
      if (report.attributes?.restored === true)
        output.line(
          `its /init sets ${report.attributes.count} attributes of ${report.attributes.entries} entries`,
        );
    });
};

function directly(
  here: Context,
  expression: string,
  { output, acceptLoss = false, tree, ...chosen }: ExportOptions,
): Promise<ImageReport> {
  return here.withStore(async (store) =>
    imageReport(
      await buildImage({
        store,
        expression,
        acceptLoss,
        choices: choicesOf(chosen),
        output: output === '-' ? 1 : output,
        tree: tree === undefined ? undefined : Buffer.from(tree),
      }),
    ),
  );
}

/** Someone who may not read the root: the daemon builds and streams, the caller owns the file. */
async function throughDaemon(
  { client, output }: Context,
  expression: string,
  { output: path, acceptLoss = false, ...chosen }: ExportOptions,
): Promise<ImageReport> {
  const choices = choicesOf(chosen);
  const { report, data } = await client.image({ expression, acceptLoss, choices });
  await writeOutput({ output, path }, data);
  return report;
}

/** Throws what is wrong with an option before anything is read. */
function choicesOf({
  ops,
  without,
  init,
}: Pick<ExportOptions, 'ops' | 'without' | 'init'>): ImageChoices {
  return {
    ...(ops !== undefined && { operations: bitsOf(ops) }),
    ...(without !== undefined && { without: rulesOf(without) }),
    ...(init !== undefined && { init: initKind(init) }),
  };
}

function warn(output: Output, report: ImageReport): void {
  for (const { message, hint } of report.problems) output.warn(message, hint);
  for (const [what, drifted] of Map.groupBy(report.drift, (one) => one.what))
    output.warn(`${drifted.length} recorded objects ${what} since the session, ${first(drifted)}`);
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
        `${first(report.not_carried)}: ${report.not_carried[0]?.what ?? ''}`,
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

function first(found: readonly JsonPath[]): string {
  return `the first is ${found[0]?.path ?? ''}`;
}
