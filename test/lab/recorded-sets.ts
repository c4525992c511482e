/**
 * What the daemon in the lab's server has recorded, read outside from a copy of its database: one
 * copy for many questions, where each `trace` command in emulation would cost seconds.
 */
import path from 'node:path';
import type { StatusBody } from '../../src/daemon/api.ts';
import { operationBit, type Evidence, type Operation } from '../../src/common/words.ts';
import { Store } from '../../src/store/store.ts';
import type { LossRow, SessionRow } from '../../src/store/types.ts';
import { GUEST_SHARE, type LabServer } from './server.ts';

/** {@link LabServer} commands run in the checkout. */
export const GUEST_CONTROL = 'test/lab/guest/control.ts';

let copies = 0;

/** A file of a session: every name, and what was done. */
export interface SeenFile {
  readonly names: readonly string[];
  readonly operations: number;
  readonly evidence: readonly Evidence[];
}

export class RecordedSets {
  /** What the daemon said of itself at that moment. */
  readonly status: StatusBody;
  readonly #store: Store;

  private constructor(store: Store, status: StatusBody) {
    this.#store = store;
    this.status = status;
  }

  /** Everything that has happened in the lab up to now is in it. */
  static async copy(server: LabServer): Promise<RecordedSets> {
    const name = `state-${copies++}.db`;
    const answer = await server.must(`node ${GUEST_CONTROL} settle ${GUEST_SHARE}/${name}`, {
      timeoutMs: 600_000,
    });
    return new RecordedSets(
      Store.open({ path: path.join(server.share, name), readOnly: true }),
      JSON.parse(answer) as StatusBody,
    );
  }

  /** One client's sessions on one root, oldest first. */
  sessions(root: string, client: string): SessionRow[] {
    return this.#store
      .sessions({ client })
      .filter((session) => session.root.toString() === root)
      .sort((a, b) => a.id - b.id);
  }

  files({ id }: SessionRow): SeenFile[] {
    return this.#store.files(id).map(({ names, operations, evidence }) => ({
      ...{ names: names.map((name) => name.toString()), operations, evidence },
    }));
  }

  /** Files with this operation, each by the first of its names that is expected, or all of them. */
  did(session: SessionRow, operation: Operation, expected: readonly string[]): string[] {
    const bit = operationBit(operation);
    return this.files(session)
      .filter(({ operations }) => (operations & bit) !== 0)
      .flatMap(({ names }) => {
        const known = names.filter((name) => expected.includes(name));
        return known.length > 0 ? known : [`unexpected: ${names.join(' = ')}`];
      })
      .sort();
  }

  lossesOf({ id }: SessionRow): LossRow[] {
    return this.#store.losses({ sessionId: id });
  }

  losses(): string[] {
    return this.#store
      .losses()
      .map(({ where, count, detail }) => `${where} ${count} ${detail ?? ''}`);
  }
}
