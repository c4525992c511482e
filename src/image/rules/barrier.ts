/**
 * What must not come into an image although something asks for it: run-time state of the session,
 * what a rule takes out, and drifted files that a person does not want. Owns the list of what it
 * kept out, and settles it when the image is closed. Must not know why something was asked for,
 * beyond its reason.
 */
import type { InitKind } from '../choices.ts';
import type { Closure, Draft, ReasonKind } from '../closure.ts';
import type { LeftOut, Problem, RuleEffect } from '../plan-types.ts';
import { type Resolver, toBytes } from '../resolve.ts';
import type { Rule, Rules } from './rules.ts';

export interface BarrierOptions {
  /** Paths that the session made. */
  readonly created: ReadonlySet<string>;
  readonly rules: Rules;
}

/** What every boot needs stays: a mount point under /tmp/** must remain one, and /init be there. */
const NEEDED: ReadonlySet<ReasonKind> = new Set(['skeleton', 'device-table', 'init', 'record']);

export class Barrier {
  readonly rules: Rules;
  readonly #created: ReadonlySet<string>;
  readonly #drifted = new Set<string>();
  readonly #barred = new Map<string, Rule>();

  constructor({ created, rules }: BarrierOptions) {
    this.#created = created;
    this.rules = rules;
  }

  /** Keeps a drifted file out. */
  skip(path: string): void {
    this.#drifted.add(path);
  }

  has(path: string, kind: ReasonKind): boolean {
    if (this.isCreated(path)) return true;
    if (NEEDED.has(kind)) return false;
    if (this.#drifted.has(path)) return true;
    const rule = this.rules.excluding(path);
    if (rule === null) return false;
    this.#barred.set(path, rule);
    return true;
  }

  /** Made by the session, and no rule wants it. */
  isCreated(path: string): boolean {
    return this.#created.has(path) && !this.rules.includes(path);
  }

  /** What rules did, once nothing more comes in. */
  settle({ closure, resolver, leftOut, problems, init }: Settling): RuleEffect[] {
    for (const path of this.#drifted)
      if (!closure.drafts.has(path)) leftOut.push({ path: toBytes(path), why: 'drift' });
    for (const [path, rule] of new Map([...this.rules.withheld, ...this.#barred])) {
      if (closure.drafts.has(path)) {
        rule.matched = true;
        if (closure.drafts.get(path)?.reasons.every(({ kind }) => kind === 'parent-of') === true)
          rule.kept.push(path);
      } else if (resolver.lstat(path) !== null) {
        // What nothing but an include asked for is not left out.
        if (this.#barred.has(path)) leftOut.push({ path: toBytes(path), why: 'rule' });
        this.rules.count(rule, path);
      }
    }
    for (const rule of this.rules.all) {
      const needed = this.#neededAllTheSame(rule, closure);
      if (rule.matched && needed === undefined) continue;
      problems.push({
        code: 'rule-without-effect',
        message: `the rule '${rule.include ? '+' : '-'} ${toBytes(rule.glob).toString()}' decides nothing`,
        hint:
          needed !== undefined
            ? whyNeeded(needed, init)
            : rule.include
              ? 'the root has nothing there, or an earlier rule decides it'
              : 'nothing there would be in this image, or an earlier rule decides it',
      });
    }
    return this.rules.effects();
  }

  /** The first of what a rule should take out, if it took out nothing because that is needed. */
  #neededAllTheSame(rule: Rule, { drafts }: Closure): Draft | undefined {
    if (rule.include || rule.files > 0 || rule.kept.length > 0) return undefined;
    return [...drafts.values()]
      .filter(({ reasons }) => reasons.some(({ kind }) => NEEDED.has(kind)))
      .filter(({ path }) => this.rules.excluding(path) === rule)
      .sort((a, b) => (a.path < b.path ? -1 : 1))
      .at(0);
  }
}

export interface Settling {
  readonly closure: Closure;
  readonly resolver: Resolver;
  readonly leftOut: LeftOut[];
  readonly problems: Problem[];
  /** Which one the image has. */
  readonly init: InitKind;
}

function whyNeeded({ path, reasons }: Draft, init: InitKind): string {
  const name = `/${toBytes(path).toString()}`;
  const isProgram =
    path !== 'init' && reasons.every(({ kind }) => kind === 'init' || !NEEDED.has(kind));
  return init !== 'own' && isProgram
    ? `${name} is in the image all the same, as the generated /init needs it; --init own frees it`
    : `${name} is in the image all the same, as every boot needs it`;
}
