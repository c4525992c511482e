/** `trace image ram IMAGE`: the memory that a machine needs for an image, estimated. */
import type { Command } from 'commander';
import { KernelUnpacker } from '../../image/tools/kernel-unpacker.ts';
import { estimateMemory, type MemoryEstimate } from '../../image/tools/memory.ts';
import { walkImage } from '../../image/tools/walk-image.ts';
import type { Register } from '../commands.ts';
import { size, table } from '../output.ts';
import { checkWhole, withImage } from './image-input.ts';
import { stopShape } from './shapes.ts';

export const registerImageRam: Register = (image, context) => {
  image
    .command('ram <image>')
    .description('the memory that it takes: unpacked, and while it is unpacked')
    .action((path: string, _options: object, command: Command) => {
      const { output } = context(command);
      return withImage(path, async (input) => {
        const unpacker = new KernelUnpacker();
        const walked = await walkImage(input, unpacker);
        unpacker.finish();
        const estimate = estimateMemory(unpacker.tree, {
          imageBytes: walked.bytes,
          groups: unpacker.mostGroups,
        });
        output.value({ image: input.name, ...shape(estimate), stop: stopShape(walked) });
        for (const line of table(rows(estimate))) output.line(line);
        checkWhole(walked, { output, name: input.name });
      });
    });
};

function shape(estimate: MemoryEstimate) {
  return {
    names: estimate.names,
    inodes: estimate.inodes,
    image_bytes: estimate.imageBytes,
    content_bytes: estimate.contentBytes,
    page_bytes: estimate.pageBytes,
    inode_bytes: estimate.inodeBytes,
    group_bytes: estimate.groupBytes,
    unpacked_bytes: estimate.unpackedBytes,
    peak_bytes: estimate.peakBytes,
    least_memory_bytes: estimate.leastMemoryBytes,
  };
}

function rows(estimate: MemoryEstimate): string[][] {
  const { names, inodes } = estimate;
  return [
    ['content, in whole pages', size(estimate.pageBytes)],
    [`${inodes} inodes, ${names} names`, size(estimate.inodeBytes)],
    ['unpacked, for good', size(estimate.unpackedBytes)],
    ['the image itself, until it is unpacked', size(estimate.imageBytes)],
    ['groups of hard links, until then', size(estimate.groupBytes)],
    ['while it is unpacked', size(estimate.peakBytes)],
    ["what the machine must have, besides the kernel's own", size(estimate.leastMemoryBytes)],
  ];
}
