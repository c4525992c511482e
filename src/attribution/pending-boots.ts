/**
 * Boot evidence that waits for the first access it explains. Owns that memory: the evidence for
 * one (client, root), and the evidence for a client that each root may use once.
 */
import type { BootEvidence } from '../common/boots.ts';

export interface ExpectedBoot {
  readonly evidence: BootEvidence;
  /** The boot itself was not seen, only that there was one. */
  readonly partial: boolean;
}

interface Waiting extends ExpectedBoot {
  readonly atUs: number;
  /** Roots that have had it, or for which it came too late. */
  readonly spent: Set<number>;
}

export class PendingBoots {
  readonly #ofRoot = new Map<string, Map<number, Waiting>>();
  readonly #ofClient = new Map<string, Waiting>();
  /** root id → when its recording began. */
  readonly #since = new Map<number, number>();

  /** @param boot.rootId null = every root but those in `except` */
  expect(boot: {
    readonly client: string;
    readonly rootId: number | null;
    readonly evidence: BootEvidence;
    readonly atUs: number;
    readonly partial?: boolean;
    readonly except?: readonly number[];
  }): void {
    const { client, rootId, evidence, atUs, partial = false } = boot;
    const waiting = { evidence, partial, atUs, spent: new Set(boot.except ?? []) };
    if (rootId === null) {
      this.#ofClient.set(client, waiting);
      this.#ofRoot.delete(client);
    } else {
      const roots = this.#ofRoot.get(client) ?? new Map<number, Waiting>();
      this.#ofRoot.set(client, roots.set(rootId, waiting));
    }
  }

  /** The evidence for the first access on a root, once. */
  take(client: string, rootId: number): ExpectedBoot | undefined {
    const everywhere = this.#ofClient.get(client);
    const here = this.#ofRoot.get(client)?.get(rootId);
    this.#ofRoot.get(client)?.delete(rootId);
    const since = this.#since.get(rootId) ?? -Infinity;
    const usable = [here, everywhere]
      .filter((waiting) => waiting !== undefined)
      .filter(({ spent, atUs }) => !spent.has(rootId) && atUs >= since);
    everywhere?.spent.add(rootId);
    return usable[0];
  }

  distrustBefore(rootId: number, atUs: number): void {
    this.#since.set(rootId, atUs);
  }

  forgetRoot(rootId: number): void {
    for (const roots of this.#ofRoot.values()) roots.delete(rootId);
    for (const waiting of this.#ofClient.values()) waiting.spent.add(rootId);
  }
}
