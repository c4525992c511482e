/** `trace image parts IMAGE`: the archives and compressed pieces that an image consists of. */
import type { Command } from 'commander';
import { type Part, partsOf } from '../../image/tools/parts-of.ts';
import type { Register } from '../commands.ts';
import { table } from '../output.ts';
import { checkWhole, withImage } from './image-input.ts';
import { stopShape } from './shapes.ts';

const HEAD = ['offset', 'compression', 'bytes', 'unpacked', 'frames', 'entries', 'padding'];

export const registerImageParts: Register = (image, context) => {
  image
    .command('parts <image>')
    .description('where its parts begin, how each is compressed, what is between them')
    .action((path: string, _options: object, command: Command) => {
      const { output } = context(command);
      return withImage(path, async (input) => {
        const found = await partsOf(input);
        output.value({
          image: input.name,
          bytes: found.bytes,
          parts: found.parts.map(partShape),
          rest: found.rest,
          stop: stopShape(found),
        });
        for (const line of table([HEAD, ...found.parts.map(row)])) output.line(line);
        if (found.rest > 0) output.line(`${found.rest} bytes behind that no kernel takes`);
        checkWhole(found, { output, name: input.name });
      });
    });
};

function partShape({ unpackedBytes, ...part }: Part) {
  return { ...part, unpacked_bytes: unpackedBytes };
}

function row(part: Part): string[] {
  const { offset, compression, bytes, unpackedBytes, frames, entries, padding } = part;
  const numbers = [bytes, unpackedBytes, frames, entries, padding].map(String);
  return [String(offset), compression ?? 'none', ...numbers];
}
