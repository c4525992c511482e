/**
 * `trace image …`: looks into any initramfs, ours or not. One file a subcommand in src/cli/image,
 * loaded when the command line names it: listing must not wait for what lint needs.
 */
import type { Register } from '../commands.ts';

const TOOLS: ReadonlyMap<string, () => Promise<Register>> = new Map(
  Object.entries({
    list: async () => (await import('../image/list.ts')).registerImageList,
    cat: async () => (await import('../image/cat.ts')).registerImageCat,
    parts: async () => (await import('../image/parts.ts')).registerImageParts,
    verify: async () => (await import('../image/verify.ts')).registerImageVerify,
    extract: async () => (await import('../image/extract.ts')).registerImageExtract,
    diff: async () => (await import('../image/diff.ts')).registerImageDiff,
    lint: async () => (await import('../image/lint.ts')).registerImageLint,
    ram: async () => (await import('../image/ram.ts')).registerImageRam,
  }),
);

/** The subcommand that the rest of the line begins with; else all. */
export async function imageCommand([first = '']: readonly string[]): Promise<Register> {
  const named = TOOLS.get(first);
  const loads = named === undefined ? [...TOOLS.values()] : [named];
  const tools = await Promise.all(loads.map((load) => load()));
  return (program, context) => {
    const image = program
      .command('image')
      .description(
        'look into an image, whoever made it: what is in it, and what a kernel makes of it',
      );
    for (const register of tools) register(image, context);
  };
}
