/**
 * What rules looked for in vain, grouped by name. Owns the counting and how it is told. What was not
 * found because there was no effort left is not among it: it may be there.
 */
import type { Problem } from '../plan-types.ts';
import { toBytes } from '../resolve.ts';

/** Names in one message; a root of another kind lacks thousands. */
const TOLD = 5;

export class Missing {
  readonly #askers = new Map<string, Set<string>>();
  readonly #search: { readonly isTired: boolean };

  constructor(search: { readonly isTired: boolean } = { isTired: false }) {
    this.#search = search;
  }

  /** `by` is the path that asked. */
  add(name: string, by: string): void {
    if (this.#search.isTired) return;
    const askers = this.#askers.get(name);
    if (askers === undefined) this.#askers.set(name, new Set([by]));
    else askers.add(by);
  }

  /** One problem for all, or none. */
  problem({ code, what, hint }: { code: string; what: string; hint: string }): Problem[] {
    if (this.#askers.size === 0) return [];
    const names = [...this.#askers].sort(([a], [b]) => (a < b ? -1 : 1));
    const told = names.slice(0, TOLD).map(([name, askers]) => {
      const [first = ''] = [...askers].sort();
      const others = askers.size > 1 ? ` and ${askers.size - 1} more` : '';
      return `${text(name)} (for /${text(first)}${others})`;
    });
    const rest = names.length > TOLD ? `, and ${names.length - TOLD} more` : '';
    return [{ code, message: `${names.length} ${what}: ${told.join(', ')}${rest}`, hint }];
  }
}

const text = (bytes: string): string => toBytes(bytes).toString();
