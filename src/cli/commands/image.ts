/** `trace image …`: looks into any initramfs, ours or not. One file a subcommand in src/cli/image. */
import type { Register } from '../commands.ts';
import { registerImageCat } from '../image/cat.ts';
import { registerImageDiff } from '../image/diff.ts';
import { registerImageExtract } from '../image/extract.ts';
import { registerImageLint } from '../image/lint.ts';
import { registerImageList } from '../image/list.ts';
import { registerImageParts } from '../image/parts.ts';
import { registerImageRam } from '../image/ram.ts';
import { registerImageVerify } from '../image/verify.ts';

const TOOLS: readonly Register[] = [
  registerImageList,
  registerImageCat,
  registerImageParts,
  registerImageVerify,
  registerImageExtract,
  registerImageDiff,
  registerImageLint,
  registerImageRam,
];

export const registerImage: Register = (program, context) => {
  const image = program
    .command('image')
    .description(
      'look into an image, whoever made it: what is in it, and what a kernel makes of it',
    );
  for (const register of TOOLS) register(image, context);
};
