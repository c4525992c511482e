/**
 * Which of the names that clients looked up were not there: asks the index of the root, at the time
 * of the flush. Owns that question and the count of what it could not answer. Must not know SQL.
 */
import type { SessionEffect, BootSessions } from '../attribution/boot-sessions.ts';
import type { NfsLookup } from '../common/batches.ts';
import type { BatchBuilder } from './batch-builder.ts';
import type { ExportTable } from './export-table.ts';
import type { RootRecording } from './root-recording.ts';

export interface MissingLookupsOptions {
  readonly roots: ReadonlyMap<number, RootRecording>;
  readonly exports: Pick<ExportTable, 'reaches'>;
  readonly sessions: BootSessions;
  readonly nextFileId: () => number;
}

interface Hit {
  readonly root: RootRecording;
  readonly objects: readonly number[];
}

interface Sink {
  readonly builder: BatchBuilder;
  readonly effects: SessionEffect[];
  readonly toWall: (us: number) => number;
}

export class MissingLookups {
  readonly #options: MissingLookupsOptions;

  constructor(options: MissingLookupsOptions) {
    this.#options = options;
  }

  /**
   * A name that is there shows by its own object's rows. False if nothing explains the directory.
   * A name that was created since it was missed is one that is there.
   */
  lookup(lookup: NfsLookup, { builder, effects, toWall }: Sink): boolean {
    const { client, directory, name, count, firstUs, lastUs } = lookup;
    const hits = this.#reached(client, directory);
    for (const { root, objects } of hits) {
      const { rootId, recordingId, clients } = root.options;
      const [object] = objects;
      // Two objects with one hash: whichever it was, a name that one of them has is no news.
      if (object === undefined || objects.some((one) => root.hasChild(one, name))) continue;
      if (!clients.accepts(client)) continue;
      const directoryId = root.fileOf(object, this.#options.nextFileId, builder.files);
      const { sessionId, effects: opened } = this.#options.sessions.access({
        client,
        rootId,
        recordingId,
        firstUs,
        lastUs,
        readsInit: false,
      });
      effects.push(...opened);
      if (sessionId === null) {
        builder.refuse(recordingId, { count, firstUs: toWall(firstUs), lastUs: toWall(lastUs) });
        continue;
      }
      builder.missing.push({
        sessionId,
        directoryId,
        name,
        count,
        firstUs: toWall(firstUs),
        lastUs: toWall(lastUs),
      });
    }
    return hits.length > 0;
  }

  /** Of several roots with such a directory, those that the client has an export of. */
  #reached(client: string, directory: number): readonly Hit[] {
    const { roots, exports } = this.#options;
    const hits = [...roots.values()]
      .map((root) => ({ root, objects: root.objectsOfHash(directory) }))
      .filter(({ objects }) => objects.length > 0);
    if (hits.length < 2) return hits;
    const reached = hits.filter(({ root }) => exports.reaches(client, root));
    return reached.length > 0 ? reached : hits;
  }

  /** Lookups of a client that were not looked at, in each of its open sessions. */
  drop(client: string, count: number, builder: BatchBuilder): void {
    for (const { id, client: whose } of this.#options.sessions.open)
      if (whose === client) builder.missingDropped.push({ sessionId: id, count });
  }
}
