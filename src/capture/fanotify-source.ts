/**
 * The file side of capture: one fanotify group for every recorded root.
 * Owns which processes' events are kept. Must not know sessions.
 */
import type { FileBatch } from '../common/batches.ts';
import { FanotifyGroup, type FanotifyStats } from '../fanotify-ts/index.ts';

export class FanotifySource {
  readonly #group: FanotifyGroup;
  #sequence = 0;

  constructor(options: { readonly serverNames: readonly string[] }) {
    this.#group = new FanotifyGroup({
      paths: [],
      serverNames: options.serverNames,
      // Local programs' reads are nobody's boot; creations and renames come from everyone.
      keep: ['nfsd', 'server', 'traced'],
    });
  }

  start(): void {
    this.#group.start();
  }

  /** The `fsid` of the events that come from there. */
  watch(path: Buffer): Buffer {
    return this.#group.watch(path);
  }

  unwatch(path: Buffer): void {
    this.#group.unwatch(path);
  }

  drain(): FileBatch {
    this.#sequence += 1;
    return { ...this.#group.drain(), sequence: this.#sequence };
  }

  /** Resolves when everything that happened before the call will be in the next drain. */
  sync(): Promise<void> {
    return this.#group.sync();
  }

  async stop(): Promise<FileBatch> {
    return this.#group.stop();
  }

  status(): FanotifyStats {
    return this.#group.stats();
  }
}
