/**
 * What becomes of files that only a sweep touched: they are in an image only if something else
 * wants them. Owns what is told of the others. Must not know how sweeps are found.
 */
import type { Closure } from '../closure.ts';
import type { LeftOut, SweptOut } from '../plan-types.ts';
import { type Resolver, toBytes } from '../resolve.ts';

export interface SweptFile {
  readonly path: string;
  readonly sweep: number;
}

export interface Telling {
  readonly closure: Closure;
  readonly resolver: Resolver;
  readonly leftOut: LeftOut[];
}

/** When nothing more comes into the image. What the root has no longer is nobody's concern. */
export function tellSwept(
  swept: readonly SweptFile[],
  { closure, resolver, leftOut }: Telling,
): ReadonlyMap<number, SweptOut> {
  const told = new Map<number, { paths: number; bytes: number }>();
  for (const { path, sweep } of swept) {
    const stat = resolver.lstat(path);
    if (stat === null || closure.drafts.has(path)) continue;
    leftOut.push({ path: toBytes(path), why: 'sweep' });
    let count = told.get(sweep);
    if (count === undefined) told.set(sweep, (count = { paths: 0, bytes: 0 }));
    count.paths++;
    if (stat.type === 'file') count.bytes += stat.size;
  }
  return told;
}
