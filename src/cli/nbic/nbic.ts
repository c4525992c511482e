/**
 * `nbic -d DIR -o IMAGE`: the image of what is done in the root by hand; with `--list LIST` of a list
 * of files. Owns that command line; what is in an image, and how it is written, is the image room's.
 */
import type { Command } from 'commander';
import { TraceError } from '../../common/errors.ts';
import { pathOfArgument } from '../bytes-of-argument.ts';
import type { Register } from '../commands.ts';
import type { Context } from '../context.ts';
import { addImageOptions, filesOf, imageChoices, type ImageOptions } from '../image-options.ts';
import { tellImage, theFirst, warnOfImage } from '../image-words.ts';
import { cacheOf } from '../output-options.ts';
import { withOuterParts } from '../parts-options.ts';
import { required } from '../required.ts';
import { rootArgument } from '../root-argument.ts';
import { tellSessionImage, warnOfSessionImage } from '../session-image-words.ts';
import { checkOutput } from '../write-output.ts';
import { buildListed, PATHS_HINT } from './build-listed.ts';
import { readList } from './read-list.ts';
import { buildOfRun } from './run-image.ts';

interface NbicOptions extends ImageOptions {
  readonly directory?: string;
  readonly list?: string;
  readonly output?: string;
  readonly acceptLoss?: boolean;
}

export const registerNbic: Register = (program, context) => {
  const nbic = program
    .command('nbic')
    .description('build the cpio image of what is used in a root, or of a list of its files')
    .option('-d, --directory <dir>', 'the root (required)')
    .option('--list <file>', 'what is to be in the image, one path a line; - is standard input')
    .option('-o, --output <file>', 'the image, - is standard output (required)')
    .option('--accept-loss', 'build also if what was used may not be all recorded');
  const given = addImageOptions(nbic);
  nbic.action(async (partly: Omit<NbicOptions, 'given'>, command: Command) => {
    const options: NbicOptions = { ...partly, given };
    const directory = required(options.directory, '-d <dir>');
    const root = rootArgument(directory);
    const path = required(options.output, '-o <file>');
    const make = options.list === undefined ? ofRun : ofList;
    const here = context(command);
    checkOutput(path, [here.database, ...filesOf(options)]);
    await make(here, { directory, root, path, options });
  });
};

interface Asked {
  /** The root as it was named. */
  readonly directory: string;
  readonly root: Buffer;
  /** The image. */
  readonly path: string;
  readonly options: NbicOptions;
}

async function ofRun(here: Context, { root, path, options }: Asked): Promise<void> {
  const { output } = here;
  if (options.ifChanged === true)
    throw new TraceError({
      code: 'always-written',
      message: '--if-changed is for lists: what is done in the root is another session each time',
      hint: 'give a list with --list, or leave --if-changed out',
      exit: 'usage',
    });
  const choices = imageChoices(options, path);
  const report = await withOuterParts(options, choices, (outer) =>
    buildOfRun(here, {
      root,
      path,
      choices,
      outer,
      acceptLoss: options.acceptLoss === true,
      frameCache: cacheOf(options),
    }),
  );
  warnOfSessionImage(output, report);
  output.value({ ...report, output: path });
  tellSessionImage(output, report, path);
}

async function ofList(
  { output }: Context,
  { directory, root, path, options }: Asked,
): Promise<void> {
  const list = required(options.list, '--list <file>');
  const listName = list === '-' ? 'standard input' : list;
  if (output.json && path === '-')
    throw new TraceError({
      code: 'two-outputs',
      message: '--json and -o - both want standard output',
      hint: 'write the image to a file with -o, or leave --json out',
      exit: 'usage',
    });
  checkOutput(path, [list]);
  const choices = imageChoices(options, path);
  const paths = await readList(list, { roots: [root, pathOfArgument(directory)] });
  const report = await withOuterParts(options, choices, (outer) =>
    buildListed({
      root,
      list: listName,
      paths,
      choices,
      frameCache: cacheOf(options),
      ifChanged: options.ifChanged,
      outer,
      output: path === '-' ? 1 : path,
    }),
  );
  warnOfImage(output, report);
  for (const [what, found] of Map.groupBy(report.drift, (one) => one.what))
    output.warn(
      `${found.length} listed paths ${what === 'vanished' ? 'are not in the root' : what}, ${theFirst(found)}`,
      what === 'vanished' ? PATHS_HINT : undefined,
    );
  if (path === '-') return;
  output.value({ list, ...report, output: path });
  tellImage(output, report, { path, of: listName });
}
