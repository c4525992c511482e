/** `trace export EXPRESSION -o FILE`: the image of one or several sessions. */
import type { Command } from 'commander';
import { TraceError } from '../../common/errors.ts';
import { exportSession } from '../../daemon/export-session.ts';
import type { ImageReport } from '../../daemon/image-report.ts';
import { OPERATIONS } from '../../common/words.ts';
import type { ImageChoices } from '../../image/choices.ts';
import { addImageOptions, filesOf, imageChoices, type ImageOptions } from '../image-options.ts';
import { tellSessionImage, warnOfSessionImage } from '../session-image-words.ts';
import { bitsOf } from '../operations.ts';
import { cacheOf } from '../output-options.ts';
import type { Register } from '../commands.ts';
import type { Context } from '../context.ts';
import { withOuterParts } from '../parts-options.ts';
import { required } from '../required.ts';
import { version } from '../version.ts';
import { checkOutput, writeOutput } from '../write-output.ts';

/** Only for those who ask for one. */
const loadReports = () => import('../size-report/write-report.ts');

interface ExportOptions extends ImageOptions {
  readonly output: string;
  readonly acceptLoss?: boolean;
  readonly tree?: string;
  readonly asRecorded?: boolean;
  readonly contentDir?: string;
  readonly ops?: string;
  readonly keepSweeps?: boolean;
  readonly since?: string;
  readonly until?: string;
  readonly report?: string;
}

export const registerExport: Register = (program, context) => {
  const exported = program
    .command('export <expression>')
    .description('build the cpio image of a session (session-42, 41+42, 42-41, 41&42)')
    .option('-o, --output <file>', 'the image, - is standard output (required)')
    .option('--accept-loss', 'build also from sessions with loss, or that began with the client up')
    .option('--ops <list>', `only what one of these was done to (${OPERATIONS.join(',')})`)
    .option('--keep-sweeps', 'also what only a sweep (find /, updatedb, tar of everything) touched')
    .option('--since <mark>', 'only what was last used at this mark or after it')
    .option('--until <mark>', 'only what was first used before this mark');
  const given = addImageOptions(exported);
  exported
    .option('--report <file>', 'what the image is made of: .json, .html, else text; - shows it')
    .option('--tree <dir>', 'read the root here instead of where it was recorded')
    .option('--as-recorded', 'of the root as `trace snapshot` kept it, whatever it is now')
    .option('--content-dir <dir>', "where snapshots are kept; the daemon's by default")
    .action(async (expression: string, partly: Partial<ExportOptions>, command: Command) => {
      const options = { ...partly, given, output: required(partly.output, '-o <file>') };
      const here = context(command);
      const { output } = here;
      if (output.json && options.output === '-')
        throw new TraceError({
          code: 'two-outputs',
          message: '--json and -o - both want standard output',
          hint: 'write the image to a file with -o, or leave --json out',
          exit: 'usage',
        });
      const inputs = [here.database, ...filesOf(options)];
      checkOutput(options.output, inputs);
      const { report: path } = options;
      if (path !== undefined)
        (await loadReports()).checkReport({ path, image: options.output, inputs, output });
      if (options.tree !== undefined && options.asRecorded === true)
        throw new TraceError({
          code: 'two-trees',
          message: '--tree and --as-recorded both say where the root is read',
          hint: 'leave one of them out',
          exit: 'usage',
        });
      if (options.contentDir !== undefined && options.asRecorded !== true)
        throw new TraceError({
          code: 'usage-bad-value',
          message: '--content-dir without --as-recorded',
          hint: 'add --as-recorded, or leave it out',
          exit: 'usage',
        });
      const elsewhere = options.tree ?? options.contentDir;
      const asked = process.geteuid?.() !== 0 && elsewhere === undefined && here.ownDatabase;
      if (asked && options.frameCache !== undefined)
        throw new TraceError({
          code: 'no-frame-cache',
          message: 'the daemon builds this image, and it keeps no frames in a folder of yours',
          hint: 'run it as root, or leave --frame-cache out',
          exit: 'usage',
        });
      if (asked && options.ifChanged === true)
        throw new TraceError({
          code: 'always-written',
          message: 'the daemon builds this image, and does not see the one that is there',
          hint: 'run it as root, or leave --if-changed out',
          exit: 'usage',
        });
      const report = await (asked ? throughDaemon : directly)(here, expression, options).catch(
        (error: unknown) => {
          throw tellOptions(error, options);
        },
      );
      warnOfSessionImage(output, report);
      if (options.output === '-') return;
      output.value({ ...report, output: options.output });
      tellSessionImage(output, report, options.output);
    });
};

/** Who reads a root knows none of the options that say where it is. */
function tellOptions(error: unknown, { tree }: Pick<ExportOptions, 'tree'>): unknown {
  if (!(error instanceof TraceError) || error.code !== 'root-not-found') return error;
  const { code, message, exit, cause } = error;
  const hint =
    tree === undefined
      ? 'say where it is now with --tree DIR; --as-recorded takes it as `trace snapshot` kept it, if it did'
      : 'give --tree the directory that the client has as its root';
  return new TraceError({ code, message, hint, exit, cause });
}

function directly(
  here: Context,
  expression: string,
  {
    output,
    acceptLoss = false,
    tree,
    asRecorded = false,
    contentDir = here.places.contentDir,
    report: path,
    ...chosen
  }: ExportOptions,
): Promise<ImageReport> {
  const choices = choicesOf(chosen, output);
  return withOuterParts(chosen, choices, (outer) =>
    here.withStore(async (store) => {
      const { report, sizes } = await exportSession({
        store,
        expression,
        acceptLoss,
        choices,
        version: version(),
        frameCache: cacheOf(chosen),
        ifChanged: chosen.ifChanged,
        outer,
        output: output === '-' ? 1 : output,
        tree: tree === undefined ? undefined : Buffer.from(tree),
        recorded: asRecorded ? contentDir : undefined,
        weigh: path !== undefined,
      });
      if (path !== undefined)
        await (await loadReports()).writeReport(report, sizes, { path, output: here.output });
      return report;
    }),
  );
}

/** Someone who may not read the root: the daemon builds and streams, the caller owns the file. */
async function throughDaemon(
  { client, output }: Context,
  expression: string,
  { output: path, acceptLoss = false, asRecorded, report: place, ...chosen }: ExportOptions,
): Promise<ImageReport> {
  const choices = choicesOf(chosen, path);
  const weigh = place !== undefined ? true : undefined;
  const asked = { expression, acceptLoss, choices, asRecorded, weigh };
  return withOuterParts(chosen, choices, async (outer) => {
    const { report: told, sizes, data } = await client.image(asked);
    await writeOutput({ output, path }, outer?.around(data) ?? data);
    const report = { ...told, ...outer?.layOut(told.parts, told.bytes) };
    if (place !== undefined)
      await (await loadReports()).writeReport(report, sizes, { path: place, output });
    return report;
  });
}

/** Throws what is wrong with an option before anything is read. */
function choicesOf(
  { ops, keepSweeps, since, until, ...more }: Omit<ExportOptions, 'output'>,
  output: string,
): ImageChoices {
  return {
    ...(ops !== undefined && { operations: bitsOf(ops) }),
    keepSweeps,
    since,
    until,
    ...imageChoices(more, output),
  };
}
