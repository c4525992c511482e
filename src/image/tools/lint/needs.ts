/** What programs and scripts need and the image does not have, by the rules that builds go by. */
import { Closure, type Excluded } from '../../closure.ts';
import { makeNeeds } from '../../needs/needs.ts';
import { RootFiles } from '../../needs/root-files.ts';
import { fault, type Fault, type Linted, note } from './fault.ts';

/** The look at kernel modules tells it for each. */
const TOLD_ELSEWHERE = 'missing-module';
/** They tell of what is not in doubt; the rest is for a person to judge. */
const CERTAIN = ['missing-interpreter', 'missing-library', 'missing-script-interpreter'];

export function* needsFaults({ image, resolver }: Linted): Generator<Fault> {
  const closure = new Closure(resolver, NOTHING_EXCLUDED);
  const needs = makeNeeds({ files: new RootFiles(resolver, image.tree), closure, without: [] });
  for (const [path, { builtIn }] of image.kernelTree.entries())
    if (!builtIn) closure.add(path, { kind: 'read', about: null });
  closure.close(needs.rules);
  for (const { code, message } of needs.problems())
    if (code !== TOLD_ELSEWHERE) yield (CERTAIN.includes(code) ? fault : note)(code, null, message);
}

const NOTHING_EXCLUDED: Excluded = { has: () => false };
