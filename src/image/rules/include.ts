/**
 * Puts into an image what rules add to it: walks only where a pattern can match. Owns that walk.
 * Must not follow links, nor enter what is mounted over the root.
 */
import type { Closure } from '../closure.ts';
import { fromBytes, type Resolver, toBytes } from '../resolve.ts';
import type { Tree } from '../tree.ts';
import { type GlobState, isEnd, namesAfter, startOf, stepInto } from './glob.ts';
import type { Rule, Rules } from './rules.ts';

export interface Including {
  readonly rules: Rules;
  readonly tree: Tree;
  readonly resolver: Resolver;
  readonly closure: Closure;
}

/** Adds every path whose first matching rule is an include. */
export function includeByRules(options: Including): void {
  const { rules, closure } = options;
  for (const rule of rules.all) {
    if (!rule.include) continue;
    for (const path of pathsOf(rule, options)) {
      const first = rules.decide(path);
      if (first === null) continue;
      // Another rule comes before this one, or it has the path already.
      if (first.include && first !== rule) continue;
      if (!first.include) {
        rules.withheld.set(path, first);
        continue;
      }
      const had = closure.drafts.has(path);
      rule.matched = true;
      const result = closure.add(path, { kind: 'rule', about: rule.glob });
      if (result === 'in' && !had) rules.count(rule, path);
    }
  }
}

interface Step {
  readonly path: string;
  readonly state: GlobState;
  /** Below the top of a tree. */
  readonly inside: boolean;
}

/** The paths of the tree that a rule matches, each once, in bytewise order. */
function pathsOf({ paths }: Rule, { tree, resolver }: Including): string[] {
  const found = new Set<string>();
  for (const glob of paths) {
    const waiting: Step[] = [{ path: '', state: startOf(glob), inside: false }];
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      const { path, state, inside } = at;
      const stat = resolver.lstat(path);
      if (stat === null) continue;
      const directory = stat.type === 'directory';
      const end = isEnd(glob, state);
      if (end && (directory || inside || !glob.tree)) found.add(path);
      if (!directory || stat.foreign) continue;
      for (const name of namesAfter(glob, state) ?? tree.list(toBytes(path)).map(fromBytes)) {
        const next = stepInto(glob, state, name);
        if (next.size === 0) continue;
        const below = path === '' ? name : `${path}/${name}`;
        waiting.push({ path: below, state: next, inside: glob.tree && end });
      }
    }
  }
  return [...found].sort();
}
