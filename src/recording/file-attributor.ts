/**
 * File events become sightings where fanotify is the only witness (tier `sole-client`: NFS servers
 * of user space, or a kernel server without a trace), and the second witness where it is not.
 * Must not tie an event to a client by time: with more than one client nobody is named.
 */
import type { BootSessions, SessionEffect } from '../attribution/boot-sessions.ts';
import type { FileBatch, FileEvent } from '../common/batches.ts';
import { operationBit } from '../common/words.ts';
import {
  FAN_ACCESS,
  FAN_ATTRIB,
  FAN_CLOSE_WRITE,
  FAN_CREATE,
  FAN_MODIFY,
  FAN_MOVED_TO,
  FAN_OPEN,
} from '../fanotify-ts/masks.ts';
import type { BatchBuilder } from './batch-builder.ts';
import type { ClientFilter } from './client-filter.ts';
import { nowUs } from './clock.ts';
import { connectedClients } from './connected-clients.ts';
import type { RootRecording } from './root-recording.ts';
import type { WitnessBench } from './witness-bench.ts';

/** The client of a session whose accesses could be anybody's. */
export const UNATTRIBUTED = 'unattributed';

const SHOWN_NAMES = 5;

/** Events of objects that nobody can find, by root. */
type Unlisted = Map<RootRecording, { count: number; readonly names: Set<string> }>;

export interface FileAttributorOptions {
  readonly roots: ReadonlyMap<number, RootRecording>;
  readonly sessions: BootSessions;
  readonly witnesses: WitnessBench;
  readonly nextFileId: () => number;
  readonly serverPorts: () => readonly number[];
}

export class FileAttributor {
  readonly #options: FileAttributorOptions;
  #order = 0;

  constructor(options: FileAttributorOptions) {
    this.#options = options;
  }

  /**
   * @param options.traced the kernel server's trace is (or will be) the record of its clients
   * @param options.effects gets what the session machine did, also when this throws
   * @returns how many events were given to a client because it was connected
   */
  attribute(
    batch: FileBatch,
    options: {
      readonly traced: boolean;
      readonly builder: BatchBuilder;
      readonly effects: SessionEffect[];
      readonly toWall: (us: number) => number;
    },
  ): number {
    const { effects } = options;
    const unlisted: Unlisted = new Map();
    let named = 0;
    let connected: readonly string[] | null = null;
    for (const event of batch.events) {
      if (event.pidClass !== 'nfsd' && event.pidClass !== 'server') continue;
      for (const root of this.#options.roots.values()) {
        const object = this.#objectOf(root, event, { traced: options.traced, unlisted });
        if (object < 0) continue;
        if (event.pidClass === 'nfsd' && options.traced) {
          if ((event.mask & FAN_ACCESS) !== 0 && !root.isDirectory(object))
            this.#options.witnesses.file(root, object);
          continue;
        }
        const bits = operationsOfMask(event.mask, root.isDirectory(object));
        if (bits === 0) continue;
        connected ??= connectedClients(new Set(this.#options.serverPorts()));
        const client = clientOf(connected, root.options.clients);
        if (client === null) continue;
        effects.push(...this.#sight({ root, object, event, bits, client, batch }, options));
        named += event.count;
      }
    }
    noteUnlisted(unlisted, options);
    return named;
  }

  /** -1 if the event is not about this root, or nobody can say what it is about: a loss. */
  #objectOf(
    root: RootRecording,
    event: FileEvent,
    { traced, unlisted }: { readonly traced: boolean; readonly unlisted: Unlisted },
  ): number {
    const known = root.objectOfEvent(event);
    // The trace has its own way with handles that nothing explains.
    if (known >= 0 || (event.pidClass === 'nfsd' && traced)) return known;
    const found = root.seek(event);
    if (found !== null) return found;
    const loss = unlisted.get(root) ?? { count: 0, names: new Set<string>() };
    loss.count += event.count;
    if (loss.names.size <= SHOWN_NAMES) loss.names.add(event.name?.toString('utf8') ?? '');
    unlisted.set(root, loss);
    return -1;
  }

  #sight(
    seen: {
      readonly root: RootRecording;
      readonly object: number;
      readonly event: FileEvent;
      readonly bits: number;
      readonly client: string;
      readonly batch: FileBatch;
    },
    { builder, toWall }: { builder: BatchBuilder; toWall: (us: number) => number },
  ): SessionEffect[] {
    const { root, object, event, bits, client, batch } = seen;
    const fileId = root.fileOf(object, this.#options.nextFileId, builder.files);
    const { sessionId, effects } = this.#options.sessions.access({
      client,
      rootId: root.options.rootId,
      recordingId: root.options.recordingId,
      firstUs: batch.untilUs,
      lastUs: batch.untilUs,
      readsInit: (event.mask & FAN_ACCESS) !== 0 && root.isInit(object),
    });
    this.#order += 1;
    const atUs = toWall(batch.untilUs);
    if (sessionId === null) {
      const { recordingId } = root.options;
      builder.refuse(recordingId, { count: event.count, firstUs: atUs, lastUs: atUs });
      return effects;
    }
    builder.add({
      sessionId,
      fileId,
      operations: bits,
      count: event.count,
      bytes: 0,
      firstUs: atUs,
      lastUs: atUs,
      order: this.#order,
      evidence: 'sole-client',
      created: root.isCreated(object),
      state: root.newsOf(object),
    });
    return effects;
  }
}

/** One loss for each root, however many names a client makes up. */
function noteUnlisted(
  unlisted: Unlisted,
  { builder, toWall }: { builder: BatchBuilder; toWall: (us: number) => number },
): void {
  const atUs = toWall(nowUs());
  for (const [root, { count, names }] of unlisted) {
    const shown = [...names].slice(0, SHOWN_NAMES).join(', ');
    const more = names.size > SHOWN_NAMES ? ' and others' : '';
    builder.losses.push({
      recordingId: root.options.recordingId,
      sessionId: null,
      where: 'unresolved-handle',
      count,
      fromUs: atUs,
      toUs: atUs,
      detail: `file ${shown}${more} in a directory that cannot be listed`,
    });
  }
}

/**
 * Whose event it was: the only client that is connected, or the one that the operator named; null
 * if the recording is not about that client.
 * @param connected clients connected to a server now; none if they are out of sight (another
 *   network namespace) or have gone
 */
export function clientOf(connected: readonly string[], clients: ClientFilter): string | null {
  const [only] = connected;
  if (connected.length === 1 && only !== undefined) return clients.accepts(only) ? only : null;
  const named = clients.single;
  if (named === null) return UNATTRIBUTED;
  return connected.length === 0 || connected.includes(named) ? named : UNATTRIBUTED;
}

/** FAN_* bits as operation bits; an open stands for the access check that it is. */
function operationsOfMask(mask: number, directory: boolean): number {
  let bits = 0;
  if ((mask & FAN_ACCESS) !== 0) bits |= operationBit(directory ? 'readdir' : 'read');
  if ((mask & FAN_OPEN) !== 0) bits |= operationBit('access');
  if ((mask & (FAN_MODIFY | FAN_CLOSE_WRITE)) !== 0) bits |= operationBit('write');
  if ((mask & (FAN_CREATE | FAN_MOVED_TO)) !== 0) bits |= operationBit('create');
  if ((mask & FAN_ATTRIB) !== 0) bits |= operationBit('setattr');
  return bits;
}
