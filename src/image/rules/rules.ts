/**
 * A person's rules, applied: which of them decides a path, and what each of them did. Owns the
 * order of rules and their counts. Must not choose what an image is made of without rules.
 */
import type { ImageRule } from '../choices.ts';
import type { RuleEffect } from '../plan-types.ts';
import { type Resolver, toBytes } from '../resolve.ts';
import { type GlobPath, matchPath, parseGlob } from './glob.ts';

export interface Rule {
  readonly include: boolean;
  readonly glob: string;
  readonly paths: readonly GlobPath[];
  /** Decided something at all. */
  matched: boolean;
  files: number;
  bytes: number;
  /** Directories that it would take out and that something else needs. */
  readonly kept: string[];
}

export class Rules {
  readonly all: readonly Rule[];
  /** What an include would add, and an exclude before it does not let it. */
  readonly withheld = new Map<string, Rule>();
  readonly #resolver: Resolver;
  readonly #counted = new Set<string>();
  readonly #decided = new Map<string, Rule | null>();

  /** @throws TraceError `bad-glob` */
  constructor(rules: readonly ImageRule[], resolver: Resolver) {
    this.#resolver = resolver;
    this.all = rules.map(({ include, glob }) => ({
      include,
      glob,
      paths: parseGlob(glob).map((path) => this.#withoutLinks(path)),
      matched: false,
      files: 0,
      bytes: 0,
      kept: [],
    }));
  }

  /** The first rule that matches a path without links on its way; null = none. */
  decide(path: string): Rule | null {
    if (this.all.length === 0) return null;
    let rule = this.#decided.get(path);
    if (rule === undefined) {
      const names = path === '' ? [] : path.split('/');
      rule = this.all.find(({ paths }) => paths.some((one) => this.#matches(one, path, names)));
      this.#decided.set(path, rule ?? null);
    }
    return rule ?? null;
  }

  includes(path: string): boolean {
    return this.decide(path)?.include === true;
  }

  /** The rule that takes a path out, if one does. */
  excluding(path: string): Rule | null {
    const rule = this.decide(path);
    return rule?.include === false ? rule : null;
  }

  /** Counts what the rule that decides a path did to it: once, whatever else asks for the path. */
  count(rule: Rule, path: string): void {
    rule.matched = true;
    if (this.#counted.has(path)) return;
    this.#counted.add(path);
    const stat = this.#resolver.lstat(path);
    rule.files += 1;
    if (stat?.type === 'file') rule.bytes += stat.size;
  }

  effects(): RuleEffect[] {
    return this.all.map(({ include, glob, matched, files, bytes, kept }) => ({
      include,
      glob: toBytes(glob),
      matched,
      files,
      bytes,
      kept: kept.sort().map(toBytes),
    }));
  }

  #matches(glob: GlobPath, path: string, names: readonly string[]): boolean {
    const match = matchPath(glob, names);
    return match === 'directory' ? this.#resolver.lstat(path)?.type === 'directory' : match;
  }

  /**
   * Follows the links in what comes before the first wildcard: /lib/modules/** is of usr/lib on a
   * merged-/usr root, as it is for the client. A last name is meant itself, be it a link or not.
   */
  #withoutLinks(glob: GlobPath): GlobPath {
    const { parts, tree } = glob;
    const names: string[] = [];
    for (const part of parts) {
      if (part === 'any' || !('literal' in part)) break;
      names.push(part.literal);
    }
    if (names.length === 0) return glob;
    const followLast = tree || names.length < parts.length;
    const { path } = this.#resolver.resolve('', names.join('/'), followLast);
    if (path === null) return glob;
    const real = path === '' ? [] : path.split('/').map((literal) => ({ literal }));
    return { parts: [...real, ...parts.slice(names.length)], tree };
  }
}
