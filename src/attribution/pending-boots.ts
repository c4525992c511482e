/**
 * Boot evidence that waits for the first access it explains. Owns that memory and its bound: the
 * evidence for one (client, root), and the evidence for a client that each root may use once.
 */
import type { BootEvidence, PendingBoot } from '../common/boots.ts';
import type { AccessSeen } from './boot-session-types.ts';
import { BoundedMap } from './bounded-map.ts';

/**
 * Evidence that is a boot's only if its client then looks for the export. A client whose lease has
 * lapsed introduces itself too, and goes on where it was: an NFSv4.0 one without open files lets it
 * lapse whenever it is idle.
 */
const BY_WALK: ReadonlySet<BootEvidence['kind']> = new Set(['nfs4-verifier', 'nfs4-new-client']);

export interface ExpectedBoot {
  readonly evidence: BootEvidence;
  /** The boot itself was not seen, only that there was one. */
  readonly partial: boolean;
}

interface Waiting extends ExpectedBoot {
  /** Since the evidence its client looked for an export. */
  walked: boolean;
  readonly atUs: number;
  /** Roots that have had it, or for which it came too late. */
  readonly spent: Set<number>;
}

interface OfClient {
  everywhere: Waiting | null;
  readonly roots: Map<number, Waiting>;
}

export class PendingBoots {
  readonly #clients: BoundedMap<string, OfClient>;
  /** root id → when its recording began. */
  readonly #since = new Map<number, number>();
  readonly #changed = new Set<string>();

  /** @param boots from the store: what their clients did before we looked again was not seen */
  constructor(boots: readonly PendingBoot[], most = 16_384) {
    this.#clients = new BoundedMap(most);
    for (const { client, rootId, evidence, atUs, spent } of boots) {
      const waiting = { evidence, atUs, partial: true, walked: false, spent: new Set(spent) };
      const known = this.#of(client);
      if (rootId === null) known.everywhere = waiting;
      else known.roots.set(rootId, waiting);
    }
    this.#changed.clear();
  }

  /** Clients whose evidence was dropped to keep the bound: their sessions will begin `partial`. */
  get dropped(): number {
    return this.#clients.dropped;
  }

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
    const waiting = { evidence, partial, walked: false, atUs, spent: new Set(boot.except ?? []) };
    const known = this.#of(client);
    if (rootId === null) {
      known.everywhere = waiting;
      known.roots.clear();
    } else known.roots.set(rootId, waiting);
    this.#tidy(client);
  }

  /** What waits for the client's first access is a mount's. */
  walked(client: string): void {
    const known = this.#clients.get(client);
    if (known === undefined) return;
    if (known.everywhere !== null) known.everywhere.walked = true;
    for (const waiting of known.roots.values()) waiting.walked = true;
  }

  /** The evidence for the first access on a root, once. */
  take({ client, rootId, checked = false }: AccessSeen): ExpectedBoot | undefined {
    const known = this.#clients.get(client);
    if (known === undefined) return undefined;
    const { everywhere } = known;
    const here = known.roots.get(rootId);
    const since = this.#since.get(rootId) ?? -Infinity;
    const usable = [here, everywhere]
      .filter((waiting) => waiting !== undefined && waiting !== null)
      .filter(({ spent, atUs }) => !spent.has(rootId) && atUs >= since);
    known.roots.delete(rootId);
    everywhere?.spent.add(rootId);
    this.#changed.add(client);
    this.#tidy(client);
    const [boot] = usable;
    if (boot === undefined) return undefined;
    const unproven = checked && !boot.walked && BY_WALK.has(boot.evidence.kind);
    return { evidence: boot.evidence, partial: boot.partial || unproven };
  }

  distrustBefore(rootId: number, atUs: number): void {
    this.#since.set(rootId, atUs);
  }

  forgetRoot(rootId: number): void {
    this.#since.delete(rootId);
    for (const client of [...this.#clients.keys()]) {
      const known = this.#clients.get(client);
      if (known?.roots.delete(rootId) === true) this.#changed.add(client);
      if (known?.everywhere?.spent.has(rootId) === false) {
        known.everywhere.spent.add(rootId);
        this.#changed.add(client);
      }
      this.#tidy(client);
    }
  }

  get hasChanges(): boolean {
    return this.#changed.size > 0;
  }

  /** Clients whose evidence is not what it was at the last call, with all that each has now. */
  takeChanges(): (readonly [client: string, boots: readonly PendingBoot[]])[] {
    const changes = [...this.#changed].map((client) => [client, this.#boots(client)] as const);
    this.#changed.clear();
    return changes;
  }

  #boots(client: string): PendingBoot[] {
    const known = this.#clients.get(client);
    if (known === undefined) return [];
    const told = (
      rootId: number | null,
      { spent, evidence, partial, atUs }: Waiting,
    ): PendingBoot => ({
      client,
      rootId,
      evidence,
      partial,
      atUs,
      spent: [...spent].sort((a, b) => a - b),
    });
    return [
      ...(known.everywhere === null ? [] : [told(null, known.everywhere)]),
      ...[...known.roots].map(([rootId, waiting]) => told(rootId, waiting)),
    ];
  }

  #of(client: string): OfClient {
    const known = this.#clients.get(client) ?? { everywhere: null, roots: new Map() };
    const oldest = this.#clients.set(client, known);
    if (oldest !== undefined) this.#changed.add(oldest[0]);
    this.#changed.add(client);
    return known;
  }

  /** A root that is recorded from later on has no use for it: what all have had can go. */
  #tidy(client: string): void {
    const known = this.#clients.get(client);
    if (known === undefined) return;
    const recorded = [...this.#since.keys()];
    const { everywhere } = known;
    if (everywhere !== null && recorded.length > 0)
      if (recorded.every((rootId) => everywhere.spent.has(rootId))) known.everywhere = null;
    if (known.everywhere === null && known.roots.size === 0) this.#clients.delete(client);
  }
}
