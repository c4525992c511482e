/**
 * The trees that given sessions are of: the root's recording if it is recorded, else one of its own,
 * listed when the first session wants it and let go of with the last.
 * Owns these. Must not know sessions or rows.
 */
import type { Store } from '../store/store.ts';
import { ClientFilter } from './client-filter.ts';
import { nowUs } from './clock.ts';
import { knownFilesOf } from './file-numbers.ts';
import { MountTable, readMountinfo } from './mounts.ts';
import { relativeTo } from './paths.ts';
import { RootRecording } from './root-recording.ts';

/** What a session of a root is given a tree for. */
export interface TreeUser {
  readonly path: Buffer;
  readonly rootId: number;
  readonly recordingId: number;
}

export class GivenTrees {
  readonly #store: Store;
  readonly #recorded: ReadonlyMap<number, RootRecording>;
  /** By root id; those that no recording has. */
  readonly #own = new Map<number, RootRecording>();

  /** @param options.recorded roots by id; the recorder adds and removes */
  constructor(options: {
    readonly store: Store;
    readonly recorded: ReadonlyMap<number, RootRecording>;
  }) {
    this.#store = options.store;
    this.#recorded = options.recorded;
  }

  /**
   * Is there such a root, and does it have file handles?
   * @throws TraceError `root-not-found`, `no-file-handles`, ...
   */
  static check(path: Buffer): void {
    const tree = new RootRecording({ path });
    try {
      tree.open();
    } finally {
      tree.close();
    }
  }

  /** @throws TraceError if it cannot be opened or listed */
  async of(user: TreeUser): Promise<RootRecording> {
    const { rootId } = user;
    const recorded = this.#recorded.get(rootId);
    if (recorded !== undefined) {
      // It follows the names from now on, and has them from the store.
      this.release(rootId);
      return recorded;
    }
    const own = this.#own.get(rootId);
    if (own !== undefined) return own;
    const tree = await this.#open(user);
    this.#own.set(rootId, tree);
    return tree;
  }

  /** Is the tree none of a recording, whose names others tell? */
  isOwn(tree: RootRecording): boolean {
    return this.#own.get(tree.options.rootId) === tree;
  }

  /** Lets go of a root's own tree, if there is one. */
  release(rootId: number): void {
    this.#own.get(rootId)?.close();
    this.#own.delete(rootId);
  }

  close(): void {
    for (const rootId of [...this.#own.keys()]) this.release(rootId);
  }

  /** With the file systems below it that were recorded with it, as an image of it has them. */
  async #open({ path, rootId, recordingId }: TreeUser): Promise<RootRecording> {
    const tree = new RootRecording({ path });
    tree.open();
    try {
      const identity = { label: null, onLoss: 'warn', startedUs: nowUs() } as const;
      const clients = new ClientFilter([]);
      const known = knownFilesOf(this.#store, rootId);
      tree.begin({ ...identity, rootId, recordingId, clients }, known);
      const mounts = new Set(this.#store.mounts(path).map((mount) => mount.toString('latin1')));
      tree.followMounts(new MountTable(readMountinfo()), {
        wanted: ({ at }) => mounts.has(relativeTo(path, at).toString('latin1')),
        // Its paths are skipped, and counted.
        refused: () => undefined,
        knownUs: nowUs(),
      });
      const refusals: Error[] = [];
      await tree.walkNew((_, error) => refusals.push(error));
      if (refusals[0] !== undefined) throw refusals[0];
      return tree;
    } catch (error) {
      tree.close();
      throw error;
    }
  }
}

/** Where (latin1, from the root) file systems are mounted that a tree does not have. */
export function foreignMounts(tree: RootRecording): Set<string> {
  const below = new MountTable(readMountinfo()).visibleBelow(tree.path);
  const paths = below.map(({ at }) => relativeTo(tree.path, at));
  return new Set(
    paths.filter((path) => tree.topOf(path) < 0).map((path) => path.toString('latin1')),
  );
}
