/**
 * `trace image list IMAGE`: the records of all parts of an image, in their order. Of ordinary images
 * native/quick says the same without Node.
 */
import type { Command } from 'commander';
import type { Register } from '../commands.ts';
import type { ImageRecord } from '../../image/tools/record.ts';
import { walkImage } from '../../image/tools/walk-image.ts';
import { checkWhole, withImage } from './image-input.ts';
import { recordShape, stopShape } from './shapes.ts';
import { longLine, shownName } from './text.ts';

interface ListOptions {
  readonly long?: boolean;
  readonly null?: boolean;
}

/** Lines that are written at once. */
const BATCH = 2000;

export const registerImageList: Register = (image, context) => {
  image
    .command('list <image>')
    .description('what is in it, all its parts, one name a line; - is standard input')
    .option('-l, --long', 'with modes, links, owners, sizes and times (UTC)')
    .option('-0, --null', 'names as they are, each with a NUL byte behind it')
    .action((path: string, options: ListOptions, command: Command) => {
      const { output } = context(command);
      return withImage(path, async (input) => {
        const shapes: ReturnType<typeof recordShape>[] = [];
        // Lines to be shown, or names as they are: byte strings, one character for each byte.
        let waiting: string[] = [];
        const encoding = options.null === true ? 'latin1' : 'utf8';
        const flush = (): void => {
          output.bytes(Buffer.from(waiting.join(''), encoding));
          waiting = [];
        };
        let passedOver = 0;
        const text = (record: ImageRecord): string => {
          if (options.null === true) return `${record.name}\0`;
          return `${options.long === true ? longLine(record) : shownName(record.name)}\n`;
        };
        const walked = await walkImage(input, {
          record: (record) => {
            if (record.passedOver !== null) passedOver++;
            if (output.json) shapes.push(recordShape(record));
            else if (record.name !== '') {
              waiting.push(text(record));
              if (waiting.length >= BATCH) flush();
            }
            return null;
          },
        });
        flush();
        output.value({ image: input.name, entries: shapes, stop: stopShape(walked) });
        if (passedOver > 0)
          output.warn(
            `${passedOver} records that the kernel passes over`,
            '`trace image verify` says which and why',
          );
        checkWhole(walked, { output, name: input.name });
      });
    });
};
