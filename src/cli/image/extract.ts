/** `trace image extract IMAGE -C DIR`: the files of an image, in a folder of their own. */
import type { Command } from 'commander';
import { Extraction, type Skipped } from '../../image/tools/extraction.ts';
import { KernelUnpacker } from '../../image/tools/kernel-unpacker.ts';
import { walkImage } from '../../image/tools/walk-image.ts';
import type { Register } from '../commands.ts';
import { type Output, size } from '../output.ts';
import { required } from '../required.ts';
import { checkWhole, withImage } from './image-input.ts';
import { stopShape } from './shapes.ts';

interface ExtractOptions {
  readonly directory?: string;
  readonly owners?: boolean;
  readonly devices?: boolean;
  readonly setId?: boolean;
}

export const registerImageExtract: Register = (image, context) => {
  image
    .command('extract <image>')
    .description('its files, as the kernel would unpack them, in a new or empty folder')
    .option('-C, --directory <dir>', 'where to (required)')
    .option('--owners', 'give everything to whom the image says (as root)')
    .option('--devices', 'make device nodes (as root)')
    .option('--set-id', 'keep setuid and setgid bits of files')
    .action((path: string, options: ExtractOptions, command: Command) => {
      const { output } = context(command);
      const folder = required(options.directory, '-C <dir>');
      const { owners = false, devices = false, setId = false } = options;
      return withImage(path, async (input) => {
        const extraction = new Extraction({ folder, owners, devices, setId });
        let dropped = 0;
        const unpacker = new KernelUnpacker({
          found: ({ kind }) => void (dropped += kind === 'dropped' ? 1 : 0),
          disk: extraction,
        });
        extraction.start();
        const walked = await walkImage(input, unpacker);
        unpacker.finish();
        extraction.finish(unpacker.tree);
        const { entries, bytes, skipped } = extraction;
        output.value({
          image: input.name,
          folder,
          entries,
          bytes,
          dropped,
          skipped: {
            devices: skipped.devices,
            sockets: skipped.sockets,
            empty_links: skipped.emptyLinks,
            set_id: skipped.setId,
          },
          stop: stopShape(walked),
        });
        output.line(`${folder}: ${entries} entries, ${size(bytes)} of ${input.name}`);
        warn(output, { ...skipped, dropped });
        checkWhole(walked, { output, name: input.name });
      });
    });
};

function warn(output: Output, counts: Skipped & { readonly dropped: number }): void {
  const { devices, sockets, emptyLinks, setId, dropped } = counts;
  if (dropped > 0)
    output.warn(
      `${dropped} records are left out, as the kernel drops them`,
      '`trace image verify` says which and why',
    );
  if (devices > 0) output.warn(`${devices} device nodes are left out`, '--devices makes them');
  if (sockets > 0) output.warn(`${sockets} sockets are left out`);
  if (emptyLinks > 0)
    output.warn(
      `${emptyLinks} links without a target are left out, which only the kernel can make`,
    );
  if (setId > 0)
    output.warn(`${setId} files are without their setuid and setgid bits`, '--set-id keeps them');
}
