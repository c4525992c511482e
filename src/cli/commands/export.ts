/** `trace export EXPRESSION -o FILE`: the image of one or several sessions. */
import { Option, type Command } from 'commander';
import type { JsonPath } from '../../common/bytes.ts';
import { TraceError } from '../../common/errors.ts';
import { exportSession } from '../../daemon/export-session.ts';
import type { ImageReport, SweepReport } from '../../daemon/image-report.ts';
import { OPERATIONS } from '../../common/words.ts';
import { RULES } from '../../image/needs/rule.ts';
import {
  DRIFT_POLICIES,
  IMAGE_FORMATS,
  INIT_KINDS,
  type DriftPolicy,
  type ImageChoices,
  type ImageRule,
} from '../../image/choices.ts';
import type { Doubt } from '../../image/sweeps/sweep.ts';
import { imageRulesOf, ruleArgument } from '../image-rules.ts';
import { initKind } from '../init-kind.ts';
import { bitsOf } from '../operations.ts';
import { cacheOf, outputChoices, type OutputOptions } from '../output-options.ts';
import type { Register } from '../commands.ts';
import type { Context } from '../context.ts';
import { partsChoices, type PartsOptions, withOuterParts } from '../parts-options.ts';
import { required } from '../required.ts';
import { needRulesOf } from '../need-rules.ts';
import { size, type Output } from '../output.ts';
import { sizeReport } from '../size-report/size-report.ts';
import { checkReport, writeReport } from '../size-report/write-report.ts';
import { version } from '../version.ts';
import { writeOutput } from '../write-output.ts';

interface ExportOptions extends OutputOptions, PartsOptions {
  readonly output: string;
  readonly acceptLoss?: boolean;
  readonly tree?: string;
  readonly asRecorded?: boolean;
  readonly contentDir?: string;
  readonly ops?: string;
  readonly without?: string;
  /** Of both options, in the order given. */
  readonly given: readonly ImageRule[];
  readonly rules?: string;
  readonly skeleton?: boolean;
  readonly keepSweeps?: boolean;
  readonly strict?: boolean;
  readonly onDrift?: DriftPolicy;
  readonly since?: string;
  readonly until?: string;
  readonly init?: string;
  readonly report?: string;
}

export const registerExport: Register = (program, context) => {
  const given: ImageRule[] = [];
  const rule = (include: boolean) => (text: string) => void given.push(ruleArgument(include, text));
  program
    .command('export <expression>')
    .description('build the cpio image of a session (session-42, 41+42, 42-41, 41&42)')
    .option('-o, --output <file>', 'the image, - is standard output (required)')
    .option('--accept-loss', 'build also from sessions with loss, or that began with the client up')
    .option('--ops <list>', `only what one of these was done to (${OPERATIONS.join(',')})`)
    .option('--without <list>', `add nothing by these rules (${RULES.join(',')})`)
    .option('--include <glob>', 'add what the root has there (repeatable)', rule(true))
    .option('--exclude <glob>', 'take out what is there (repeatable)', rule(false))
    .option('--rules <file>', "more such rules, one a line: '+ GLOB' or '- GLOB'")
    .option('--skeleton', 'add all directories and all links of the root')
    .option('--keep-sweeps', 'also what only a sweep (find /, updatedb, tar of everything) touched')
    .option('--since <mark>', 'only what was last used at this mark or after it')
    .option('--until <mark>', 'only what was first used before this mark')
    .addOption(
      new Option(
        '--on-drift <what>',
        'what is not as it was recorded: take it as it is, or …',
      ).choices(DRIFT_POLICIES),
    )
    .option('--strict', 'no image if anything about its content is doubtful')
    .option('--format <name>', `what is written: ${IMAGE_FORMATS.join(', ')} (default newc)`)
    .option(
      '--compress <method>',
      'none, gzip, zstd, xz or lz4, :LEVEL after it; else as the name of the output says',
    )
    .option(
      '--frame-cache <dir>',
      'keep compressed parts here: what is unchanged is not done again',
    )
    .option('--frame-cache-size <size>', 'at most this much, least used go first (default 2G)')
    .option('--owner <from:to>', 'give the files of user FROM to user TO (repeatable)', collect)
    .option('--group <from:to>', 'the same for groups (repeatable)', collect)
    .option('--all-root', 'everything belongs to root:root')
    .option('--align', 'begin large files at multiples of 4096, for file systems that share blocks')
    .option('--if-changed', 'leave the file as it is if it is this image already')
    .option('--early <file>', 'a plain archive to put before all (repeatable)', collect)
    .option('--early-microcode', "put the root's own processor microcode there")
    .option(
      '--append <file>',
      'an archive, compressed or not, to put behind all (repeatable)',
      collect,
    )
    .option('--init <kind>', `what the kernel runs (${INIT_KINDS.join(',')}; own if there is one)`)
    .option('--report <file>', 'what the image is made of: .json, .html, else text; - shows it')
    .option('--tree <dir>', 'read the root here instead of where it was recorded')
    .option('--as-recorded', 'of the root as `trace snapshot` kept it, whatever it is now')
    .option('--content-dir <dir>', "where that is; the daemon's by default")
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
      const { report: path } = options;
      if (path !== undefined) checkReport({ path, image: options.output, output });
      if (options.tree !== undefined && options.asRecorded === true)
        throw new TraceError({
          code: 'two-trees',
          message: '--tree and --as-recorded both say where the root is read',
          hint: 'leave one of them out',
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
      const report = await (asked ? throughDaemon : directly)(here, expression, options);
      warn(output, report);
      if (options.output === '-') return;
      output.value({ ...report, output: options.output });
      for (const { rule, files, bytes } of report.rules)
        output.line(`${rule}: ${files} paths, ${size(bytes)}`);
      for (const sweep of report.sweeps)
        if (sweep.left_out > 0)
          output.line(
            `${sweepText(sweep)}: ${sweep.left_out} paths, ${size(sweep.bytes)}, left out`,
          );
      output.line(
        `${options.output}: ${report.unchanged ? 'unchanged, ' : ''}${report.entries} entries, ${size(report.bytes)}${compressed(report)}, of ${report.expression}`,
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
        await writeReport(sizeReport(report, sizes), { path, output: here.output });
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
    if (place !== undefined) await writeReport(sizeReport(report, sizes), { path: place, output });
    return report;
  });
}

/** Throws what is wrong with an option before anything is read. */
function choicesOf(
  {
    ops,
    without,
    init,
    given,
    rules: file,
    skeleton,
    keepSweeps,
    strict,
    onDrift,
    since,
    until,
    ...more
  }: Omit<ExportOptions, 'output' | 'acceptLoss' | 'tree' | 'asRecorded' | 'contentDir' | 'report'>,
  output: string,
): ImageChoices {
  const rules = imageRulesOf(given, file);
  return {
    ...(ops !== undefined && { operations: bitsOf(ops) }),
    ...(without !== undefined && { without: needRulesOf(without) }),
    ...(init !== undefined && { init: initKind(init) }),
    ...(rules.length > 0 && { rules }),
    skeleton,
    keepSweeps,
    strict,
    onDrift,
    since,
    until,
    ...outputChoices(more, output),
    ...partsChoices(more),
  };
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** ` of 300 MiB by zstd, 1 of 40 frames new`. */
function compressed({ compression }: ImageReport): string {
  if (compression === null) return '';
  const { method, archive_bytes, frames, cache } = compression;
  const anew = cache === null ? '' : `, ${frames - cache.hits} of ${frames} frames new`;
  return ` from ${size(archive_bytes)} by ${method}${anew}`;
}

/** `sweep of /usr/share in session-42`; the root's own path is `.` in JSON. */
function sweepText({ path, session }: SweepReport): string {
  return `sweep of /${path === '.' ? '' : path} in ${session}`;
}

const DOUBTS: Readonly<Record<Doubt, string>> = {
  unseen: 'the client may have used some later without asking the server, as NFSv4 lets it',
  busy: 'something else used new files meanwhile',
};

function warn(output: Output, report: ImageReport): void {
  for (const { message, hint } of report.problems) output.warn(message, hint);
  for (const [what, drifted] of Map.groupBy(report.drift, (one) => one.what))
    output.warn(`${drifted.length} recorded objects ${what} since the session, ${first(drifted)}`);
  for (const { rule, kept } of report.rules)
    if (kept.length > 0)
      output.warn(
        `the rule '${rule}' keeps ${kept.length} directories that something else needs, ` +
          first(kept),
      );
  for (const sweep of report.sweeps)
    if (sweep.doubt !== null && sweep.kept > 0)
      output.warn(
        `the ${sweepText(sweep)} read ${sweep.kept} files that stay: ${DOUBTS[sweep.doubt]}`,
        'record a boot without it, bound the image by marks, or --exclude what is not wanted',
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
