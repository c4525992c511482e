/**
 * Sizes of an image as they go over the control socket. Owns that paths are byte strings there, one
 * character (0-255) for each byte.
 */
import type { ImageSizes } from '../image/sizes/weigh.ts';

type Sent<T> = Omit<T, 'path'> & { readonly path: string };

type Named = 'directories' | 'drops' | 'items';

export type SizesBody = Omit<ImageSizes, Named> & {
  readonly [Key in Named]: readonly Sent<ImageSizes[Key][number]>[];
};

export function sizesBody({ directories, drops, items, ...plain }: ImageSizes): SizesBody {
  return {
    ...plain,
    directories: directories.map(sent),
    drops: drops.map(sent),
    items: items.map(sent),
  };
}

export function sizesOf({ directories, drops, items, ...plain }: SizesBody): ImageSizes {
  return {
    ...plain,
    directories: directories.map(received),
    drops: drops.map(received),
    items: items.map(received),
  };
}

function sent<T extends { readonly path: Buffer }>(one: T): Omit<T, 'path'> & { path: string } {
  return { ...one, path: one.path.toString('latin1') };
}

function received<T extends { readonly path: string }>(one: T): Omit<T, 'path'> & { path: Buffer } {
  return { ...one, path: Buffer.from(one.path, 'latin1') };
}
