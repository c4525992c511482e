/**
 * Grows a set of paths until everything that reaching them needs is in it: all parents, the links
 * on the way, where links lead, and every link of the root that leads to what is in. Owns the set
 * while it grows. Must not know sessions or the archive's format.
 *
 * Each path and each link is handled once, so the cost is linear in the root's links plus the set.
 */
import type { Rule } from './needs/rule.ts';
import type { TableNode } from './tables.ts';
import { parentOf, type Resolver } from './resolve.ts';
import type { TreeStat } from './tree.ts';

/** Why something is in an image; `about` is the byte string of the path that asked for it. */
export interface DraftReason {
  readonly kind: ReasonKind;
  readonly about: string | null;
}

/**
 * `read` ... `stat`: the session did it. `parent-of`: directory of `about`. `way-to`: a link on the
 * recorded path `about`. `symlink-to`: a link that leads to `about`. `target-of`: where the link
 * `about` leads. `rule`: a person's rule with the pattern `about` adds it. `device-table`,
 * `skeleton`, `init`: what every boot needs, and with `skeleton` asked for every directory and link.
 * `record`: what the image says of itself.
 * The rest come from the rules of needs/: `interpreter-of` ... `firmware-of` of the file `about`,
 * `named-by` it if it is a configuration.
 */
export type ReasonKind =
  | 'read'
  | 'readlink'
  | 'readdir'
  | 'write'
  | 'stat'
  | 'way-to'
  | 'parent-of'
  | 'symlink-to'
  | 'target-of'
  | 'rule'
  | 'device-table'
  | 'skeleton'
  | 'init'
  | 'record'
  | 'interpreter-of'
  | 'needed-by'
  | 'dlopened-by'
  | 'hwcaps-of'
  | 'named-by'
  | 'index-of'
  | 'firmware-of';

export interface Draft {
  readonly path: string;
  /** Null for what comes from a table. */
  readonly stat: TreeStat | null;
  readonly node: TableNode | null;
  readonly reasons: DraftReason[];
}

/** What must not come in, but as the directory of something else. */
export interface Excluded {
  has(path: string, kind: ReasonKind): boolean;
}

export type AddResult = 'in' | 'missing' | 'left-out';

const NO_LINKS: readonly string[] = [];

export class Closure {
  readonly drafts = new Map<string, Draft>();
  /** Sockets that something asked for: a server makes its own. */
  readonly sockets = new Set<string>();
  readonly #resolver: Resolver;
  readonly #excluded: Excluded;
  readonly #leadingTo = new Map<string, string[]>();
  readonly #waiting: string[] = [];
  #rules: readonly Rule[] = [];

  constructor(resolver: Resolver, excluded: Excluded) {
    this.#resolver = resolver;
    this.#excluded = excluded;
  }

  /** Adds one path that has no link on its way. An excluded one comes in only as a parent. */
  add(path: string, reason: DraftReason): AddResult {
    return this.#add(path, reason, true);
  }

  /** The same, but nothing follows from it. */
  place(path: string, reason: DraftReason): AddResult {
    return this.#add(path, reason, false);
  }

  #add(path: string, reason: DraftReason, follow: boolean): AddResult {
    const known = this.drafts.get(path);
    if (known !== undefined) {
      // The first child says enough about a directory; /usr/lib would carry thousands.
      if (reason.kind !== 'parent-of' || known.reasons.every(({ kind }) => kind !== 'parent-of'))
        known.reasons.push(reason);
      return 'in';
    }
    if (reason.kind !== 'parent-of' && this.#excluded.has(path, reason.kind)) return 'left-out';
    const stat = this.#resolver.lstat(path);
    if (stat === null) return 'missing';
    if (stat.type === 'socket') {
      this.sockets.add(path);
      return 'left-out';
    }
    this.drafts.set(path, { path, stat, node: null, reasons: [reason] });
    if (follow) this.#waiting.push(path);
    return 'in';
  }

  /** Adds something that the root does not have, or that is taken instead of what it has. */
  addNode(path: string, node: TableNode, reason: DraftReason): void {
    this.drafts.set(path, { path, stat: null, node, reasons: [reason] });
    this.#waiting.push(path);
  }

  /**
   * Runs to the fixed point; again, by the same rules, after more was added. The rules are offered
   * each entry once.
   */
  close(rules: readonly Rule[] = this.#rules): void {
    this.#rules = rules;
    if (this.#leadingTo.size === 0) this.#findLinks();
    do {
      for (let path = this.#waiting.pop(); path !== undefined; path = this.#waiting.pop())
        this.#follow(path);
      for (const rule of rules) rule.settle?.();
    } while (this.#waiting.length > 0);
  }

  #findLinks(): void {
    for (const link of this.#resolver.links()) {
      const end = this.#resolver.follow(link).path;
      if (end === null) continue;
      const others = this.#leadingTo.get(end);
      if (others === undefined) this.#leadingTo.set(end, [link]);
      else others.push(link);
    }
  }

  #follow(path: string): void {
    if (path !== '') {
      const parent = parentOf(path);
      const reason: DraftReason = { kind: 'parent-of', about: path };
      // Only below a table's node can a parent be missing from the tree.
      if (this.add(parent, reason) === 'missing')
        this.addNode(parent, { path: parent, type: 'directory', mode: 0o755 }, reason);
    }
    const isOurs = this.drafts.get(path)?.node != null;
    if (!isOurs && this.#resolver.target(path) !== undefined) {
      const { path: end, through } = this.#resolver.follow(path);
      // A link that is in only because of its target is no reason for the target.
      const follower = this.drafts.get(path)?.reasons.every(({ kind }) => kind === 'symlink-to');
      for (const next of end === null ? through : [...through, end])
        if (follower !== true || !this.drafts.has(next))
          this.add(next, { kind: 'target-of', about: path });
    }
    for (const link of this.#leadingTo.get(path) ?? NO_LINKS)
      this.add(link, { kind: 'symlink-to', about: path });
    const draft = this.drafts.get(path);
    if (draft !== undefined) for (const rule of this.#rules) rule.offer(draft);
  }
}
