/**
 * The file side of capture: one fanotify group for every recorded root.
 * Owns which processes' events are kept. Must not know sessions.
 */
import type { FileBatch } from '../common/batches.ts';
import { FanotifyGroup, type FanotifyStats } from '../fanotify-ts/index.ts';

export class FanotifySource {
  readonly #group: FanotifyGroup;
  #sequence = 0;

  /** @param options.limitedQueue the kernel's bounded queue: what it drops is a loss */
  constructor(options: {
    readonly serverNames: readonly string[];
    readonly limitedQueue?: boolean | undefined;
  }) {
    this.#group = new FanotifyGroup({
      paths: [],
      serverNames: options.serverNames,
      // Local programs' reads are nobody's boot; creations and renames come from everyone.
      keep: ['nfsd', 'server', 'traced'],
      queueLimited: options.limitedQueue ?? false,
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
  sync(timeoutMs?: number): Promise<void> {
    return this.#group.sync(timeoutMs === undefined ? {} : { timeoutMs });
  }

  async stop(timeoutMs?: number): Promise<FileBatch> {
    return this.#group.stop(timeoutMs === undefined ? {} : { timeoutMs });
  }

  status(): FanotifyStats {
    return this.#group.stats();
  }
}
