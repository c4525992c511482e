/**
 * Adds all directories and all links of a root to an image that is closed already. Owns that walk.
 * Nothing follows from these entries: where their links lead stays as it was.
 */
import type { Closure } from '../closure.ts';
import { fromBytes, parentOf, type Resolver, toBytes } from '../resolve.ts';
import type { Tree } from '../tree.ts';
import type { Rule, Rules } from './rules.ts';

export interface WholeSkeleton {
  readonly tree: Tree;
  readonly resolver: Resolver;
  readonly closure: Closure;
  readonly rules: Rules;
}

/** Rules go before: what one takes out stays out, with all that is in it, and each is counted. */
export function addWholeSkeleton({ tree, resolver, closure, rules }: WholeSkeleton): void {
  const taken = new Map<string, Rule>();
  const add = (path: string): boolean => {
    if (closure.drafts.has(path)) return true;
    const rule = rules.excluding(path) ?? taken.get(parentOf(path));
    if (rule !== undefined) {
      rules.count(rule, path);
      taken.set(path, rule);
      return false;
    }
    return closure.place(path, { kind: 'skeleton', about: null }) === 'in';
  };
  const waiting = [''];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const stat = resolver.lstat(path);
    if (stat?.type !== 'directory') continue;
    if ((!add(path) && !taken.has(path)) || stat.foreign) continue;
    for (const name of tree.list(toBytes(path)).map(fromBytes))
      waiting.push(path === '' ? name : `${path}/${name}`);
  }
  for (const link of resolver.links()) {
    const parent = parentOf(link);
    if (closure.drafts.has(parent) || taken.has(parent)) add(link);
  }
}
