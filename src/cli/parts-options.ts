/**
 * The options of `trace export` that put something before the image or behind it. Owns their
 * spelling, and how long the files are open.
 */
import type { ImageChoices } from '../image/choices.ts';
import type { OuterParts } from '../image/parts/outer-parts.ts';
import { checkParts } from '../image/parts/part.ts';

export interface PartsOptions {
  readonly early?: readonly string[];
  readonly earlyMicrocode?: boolean;
  readonly append?: readonly string[];
}

export function partsChoices({ earlyMicrocode }: PartsOptions): ImageChoices {
  return { ...(earlyMicrocode === true && { earlyMicrocode }) };
}

/** Runs `use` with the files open and looked at, before anything is built. */
export async function withOuterParts<T>(
  { early = [], append = [], earlyMicrocode = false }: PartsOptions,
  { format = 'newc', compress }: ImageChoices,
  use: (outer: OuterParts | undefined) => Promise<T>,
): Promise<T> {
  const given = early.length + append.length > 0;
  checkParts(format, given || earlyMicrocode);
  if (!given) return use(undefined);
  const { OuterParts: Parts } = await import('../image/parts/outer-parts.ts');
  const outer = await Parts.open({ early, append, compression: compress?.method });
  try {
    return await use(outer);
  } finally {
    await outer.close();
  }
}
