/**
 * What the kernels of a root say of themselves in /boot: whether one can unpack an image that is
 * compressed in some way. Owns the look-up. Must not run anything, or look outside the root.
 */
import { TraceError } from '../common/errors.ts';
import type { CompressionMethod } from './choices.ts';
import { METHODS } from './compress/methods.ts';
import type { Problem } from './plan-types.ts';
import type { Tree } from './tree.ts';

/** Debian's have 300 kB. */
const MOST_BYTES = 4 << 20;
const PREFIX = Buffer.from('config-');

/** A warning if a kernel's configuration does not have the method; none where there is no such file. */
export function unpackerProblems(tree: Tree, method: CompressionMethod): Problem[] {
  const { config } = METHODS[method];
  const without: string[] = [];
  let configs = 0;
  for (const name of inBoot(tree)) {
    if (!name.subarray(0, PREFIX.length).equals(PREFIX)) continue;
    const text = textOf(tree, Buffer.concat([Buffer.from('boot/'), name]));
    if (text === null) continue;
    configs++;
    if (!text.split('\n').includes(`${config}=y`))
      without.push(name.subarray(PREFIX.length).toString());
  }
  if (without.length === 0) return [];
  return [
    {
      code: 'kernel-cannot-unpack',
      message: `${without.length} of ${configs} kernels in /boot of the root cannot unpack ${method} (${config} is not set): ${without.join(', ')}`,
      hint: 'choose another --compress if one of these is to boot the image',
    },
  ];
}

function inBoot(tree: Tree): Buffer[] {
  return tree.lstat(Buffer.from('boot'))?.type === 'directory'
    ? tree.list(Buffer.from('boot'))
    : [];
}

/** Null for what is no readable file of a configuration's size: it is no reason to fail. */
function textOf(tree: Tree, path: Buffer): string | null {
  const stat = tree.lstat(path);
  if (stat?.type !== 'file' || stat.foreign || stat.size > MOST_BYTES) return null;
  try {
    return tree.read(path, 0, stat.size).toString('latin1');
  } catch (error) {
    if (error instanceof TraceError) return null;
    throw error;
  }
}
