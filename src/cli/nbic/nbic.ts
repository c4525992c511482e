/**
 * `nbic -d DIR --list LIST -o IMAGE`: the image of a list of files. Owns that command line; what is
 * in an image, and how it is written, is the image room's.
 */
import type { Command } from 'commander';
import { TraceError } from '../../common/errors.ts';
import type { Register } from '../commands.ts';
import { addImageOptions, imageChoices, type ImageOptions } from '../image-options.ts';
import { tellImage, theFirst, warnOfImage } from '../image-words.ts';
import { cacheOf } from '../output-options.ts';
import { withOuterParts } from '../parts-options.ts';
import { required } from '../required.ts';
import { rootArgument } from '../root-argument.ts';
import { buildListed, PATHS_HINT } from './build-listed.ts';
import { readList } from './read-list.ts';

interface NbicOptions extends ImageOptions {
  readonly directory?: string;
  readonly list?: string;
  readonly output?: string;
}

export const registerNbic: Register = (program, context) => {
  const nbic = program
    .command('nbic')
    .description('build the cpio image of a root from a list of its files')
    .option('-d, --directory <dir>', 'the root (required)')
    .option('--list <file>', 'what is to be in the image, one path a line; - is standard input')
    .option('-o, --output <file>', 'the image, - is standard output (required)');
  const given = addImageOptions(nbic);
  nbic.action(async (partly: Omit<NbicOptions, 'given'>, command: Command) => {
    const options: NbicOptions = { ...partly, given };
    const root = rootArgument(required(options.directory, '-d <dir>'));
    const path = required(options.output, '-o <file>');
    const list = required(options.list, '--list <file>');
    const listName = list === '-' ? 'standard input' : list;
    const { output } = context(command);
    if (output.json && path === '-')
      throw new TraceError({
        code: 'two-outputs',
        message: '--json and -o - both want standard output',
        hint: 'write the image to a file with -o, or leave --json out',
        exit: 'usage',
      });
    const choices = imageChoices(options, path);
    const paths = await readList(list, { root });
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
  });
};
