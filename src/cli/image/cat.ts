/** `trace image cat IMAGE PATH`: the content of one file of an image. */
import type { Command } from 'commander';
import { TraceError } from '../../common/errors.ts';
import { copyData, findFile } from '../../image/tools/find-file.ts';
import { withRereadable } from '../../image/tools/spool.ts';
import { bytesOfArgument } from '../bytes-of-argument.ts';
import type { Register } from '../commands.ts';
import { checkWhole, withImage } from './image-input.ts';

export const registerImageCat: Register = (image, context) => {
  image
    .command('cat <image> <path>')
    .description('the content of one file, as the booted system would have it')
    .action((path: string, file: string, _options: object, command: Command) => {
      const { output } = context(command);
      if (output.json)
        throw new TraceError({
          code: 'two-outputs',
          message: "--json and the file's content both want standard output",
          hint: 'leave --json out',
          exit: 'usage',
        });
      return withImage(path, (input) =>
        withRereadable(input, async (again) => {
          const { record, walked } = await findFile(
            again(),
            bytesOfArgument(file).toString('latin1'),
          );
          if (record !== null) await copyData(again(), record, (bytes) => output.bytes(bytes));
          checkWhole(walked, { output, name: input.name });
        }),
      );
    });
};
