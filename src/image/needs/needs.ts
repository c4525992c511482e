/**
 * All rules that add what the image's entries need, but for those that are switched off. Owns which
 * there are and what they tell in the end.
 */
import type { Closure } from '../closure.ts';
import type { Problem } from '../plan-types.ts';
import { Fstab } from './fstab.ts';
import { Gconv } from './gconv.ts';
import { KernelModules } from './kernel-modules.ts';
import { Libraries } from './libraries.ts';
import { LoaderSearch } from './loader-search.ts';
import { Missing } from './missing.ts';
import { NameService } from './name-service.ts';
import { Pam } from './pam.ts';
import { Python } from './python.ts';
import type { RootFiles } from './root-files.ts';
import type { Rule, RuleName } from './rule.ts';
import { Scripts } from './scripts.ts';
import { Taker } from './taker.ts';

export interface NeedsOptions {
  /** What it could not look into, for these rules and before, is told with what they lack. */
  readonly files: RootFiles;
  readonly closure: Closure;
  /** Switched off. */
  readonly without: readonly RuleName[];
}

export interface Needs {
  readonly rules: readonly Rule[];
  /** What was looked for in vain or could not be looked into; once the closure is closed. */
  problems(): Problem[];
}

export function makeNeeds({ files, closure, without }: NeedsOptions): Needs {
  const on = (name: RuleName): boolean => !without.includes(name);
  const taker = new Taker(files, closure);
  const search = new LoaderSearch(files);
  const libraries = new Libraries({
    files,
    search,
    taker,
    libraries: on('libraries'),
    dlopen: on('dlopen'),
    hwcaps: on('hwcaps'),
  });
  const scripts = new Scripts(files, taker);
  const pam = new Pam({ files, search, taker, libraries });
  const modules = on('modules');
  const firmware = on('firmware');
  const kernelModules = new KernelModules({ files, taker, modules, firmware });
  return {
    rules: [
      ...(on('scripts') ? [scripts] : []),
      // These two ask it for machines even if it adds nothing itself.
      ...(on('libraries') || on('nss') || on('pam') ? [libraries] : []),
      ...(on('nss') ? [new NameService({ files, search, taker, libraries })] : []),
      ...(on('pam') ? [pam] : []),
      ...(on('fstab') ? [new Fstab(files, taker)] : []),
      ...(on('gconv') ? [new Gconv(files, taker)] : []),
      ...(on('python') ? [new Python(taker)] : []),
      ...(modules || firmware ? [kernelModules] : []),
    ],
    problems: () => {
      const skipped = new Missing();
      for (const { path, why } of files.skipped()) skipped.add(why, path);
      return [
        ...libraries.problems(),
        ...scripts.problems(),
        ...pam.problems(),
        ...kernelModules.problems(),
        ...skipped.problem({
          code: 'not-looked-into',
          what: 'reasons why files could not be looked into for what they need',
          hint: 'what they need is in the image only if the client used it; mend them or add it by hand',
        }),
      ];
    },
  };
}
