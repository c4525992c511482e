/**
 * Whether modprobe of the generated /init finds the modules that came for it. Owns that look, once
 * all is in that comes in: a rule or a session may have brought the index, or kept it out.
 */
import type { Closure } from './closure.ts';
import type { RootFiles } from './needs/root-files.ts';
import type { Problem } from './plan-types.ts';
import { toBytes } from './resolve.ts';

const MODULE = /^((?:usr\/)?lib\/modules\/[^/]+)\/.+\.ko(?:\.(?:gz|xz|zst))?$/;

export function moduleIndexProblems(closure: Closure, files: RootFiles): Problem[] {
  const kernels = new Set<string>();
  for (const { path, reasons } of closure.drafts.values())
    if (reasons.some(({ kind }) => kind === 'init')) {
      const [, kernel] = MODULE.exec(path) ?? [];
      if (kernel !== undefined) kernels.add(kernel);
    }
  const isIn = (path: string): boolean => closure.drafts.has(files.find(path)?.path ?? path);
  return [...kernels]
    .filter((kernel) => !isIn(`${kernel}/modules.dep`) && !isIn(`${kernel}/modules.dep.bin`))
    .sort()
    .map((kernel) => ({
      code: 'init-modules-unlisted',
      message: `the generated /init loads modules of /${toBytes(kernel).toString()}, whose modules.dep is not in the image: modprobe does not find them`,
      hint: 'take modules out of --without, or modules.dep out of --exclude',
    }));
}
