/**
 * What the control socket's routes call: each a translation between the wire and the recorder.
 * Owns the words of warnings. Must not touch HTTP beyond writing an image to a stream.
 */
import { randomUUID } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { jsonPath } from '../common/bytes.ts';
import { TraceError } from '../common/errors.ts';
import { exportedDirectories } from '../recording/exports.ts';
import { isWithin } from '../recording/paths.ts';
import { UNATTRIBUTED } from '../recording/file-attributor.ts';
import type { Recorder, RecordingStatus } from '../recording/recorder.ts';
import type { Store } from '../store/store.ts';
import { checkStart } from './check-start.ts';
import { clientsOf, labelClient, oneClient } from './client-labels.ts';
import type {
  ImageRequestBody,
  LabelBody,
  MarkBody,
  RecordingBody,
  StartBody,
  StatusBody,
  StopBody,
  WatchBody,
} from './api.ts';
import type { ControlService } from './control-server.ts';
import { buildImage } from './build-image.ts';
import type { ContentKeeper } from './content-keeper.ts';
import { takeGiven, type GivenStreamOptions } from './given-stream.ts';
import { imageReport } from './image-report.ts';
import { sizesBody } from './sizes-body.ts';
import { WatchFeed } from './watch-feed.ts';

export interface ServiceOptions {
  readonly recorder: Recorder;
  readonly store: Store;
  readonly content: ContentKeeper;
  readonly stateDir: string;
  readonly version: string;
  readonly shutdown: () => void;
}

export class Service implements ControlService {
  readonly content: ContentKeeper;
  readonly #options: ServiceOptions;
  readonly #feed: WatchFeed;

  constructor(options: ServiceOptions) {
    this.#options = options;
    this.content = options.content;
    this.#feed = new WatchFeed({ store: options.store });
  }

  status(): StatusBody {
    const { store, recorder } = this.#options;
    const { dropped, last_commit, failure, uncommitted, ...first } = this.#overview();
    const clients = clientsOf(recorder.status().open, store);
    return { ...first, clients, dropped, last_commit, failure, uncommitted };
  }

  /** All but the list of clients, which may be long. */
  #overview(): Omit<StatusBody, 'clients'> {
    const { recorder, store, version } = this.#options;
    const { tier, nfsd, fanotify, recordings, unresolved, ...rest } = recorder.status();
    return {
      pid: process.pid,
      version,
      database: store.path,
      tier,
      nfsd: { state: nfsd.state, events: nfsd.events, lost: nfsd.lost },
      fanotify: {
        events: fanotify.eventsRead,
        filtered: fanotify.filtered,
        lost: fanotify.overflows + fanotify.tableDrops,
      },
      unresolved,
      recordings: recordings.map(bodyOf),
      warnings: recordings.flatMap(walkWarnings),
      content: this.content.status(),
      sessions_open: rest.open.length,
      dropped: rest.drops,
      last_commit: rfc3339(rest.lastCommitUs),
      failure: rest.failure,
      uncommitted: rest.uncommitted,
    };
  }

  watch(most: number): WatchBody {
    return this.#feed.look(this.#overview(), most);
  }

  async start(request: {
    readonly root: Buffer;
    readonly label: string | null;
    readonly clients: readonly string[];
    readonly onLoss: 'warn' | 'fail';
    readonly keepContent: boolean;
  }): Promise<StartBody> {
    const { recorder } = this.#options;
    const { label, clients, onLoss, keepContent } = request;
    const path = checkStart(request);
    const recording = await recorder.startRoot({ path, label, clients, onLoss, keepContent });
    return {
      recording: bodyOf(recording),
      tier: recorder.status().tier,
      warnings: [...this.#warnings(path), ...walkWarnings(recording)],
    };
  }

  async stop(root: Buffer | null): Promise<StopBody> {
    const { recorder } = this.#options;
    const running = recorder.status().recordings;
    const chosen = root === null ? running : running.filter(({ path }) => path.equals(root));
    if (root !== null && chosen.length === 0)
      throw new TraceError({
        code: 'not-recorded',
        message: `${root.toString()} is not being recorded`,
        hint: 'see `trace status`',
        exit: 'notFound',
      });
    const stopped: StopBody['stopped'][number][] = [];
    const warnings: Warning[] = [];
    for (const { rootId, path } of chosen) {
      warnings.push(...(await recorder.walked(rootId)).flatMap(walkWarnings));
      const ended = await recorder.stopRoot(rootId);
      if (ended === null) continue;
      const { sessions, losses, onLoss } = ended;
      stopped.push({
        root: jsonPath(path),
        sessions: sessions.map(nameOf),
        losses: losses.map(({ where, count }) => ({ where, count })),
        failed: onLoss === 'fail' && losses.length > 0,
      });
    }
    return { stopped, warnings };
  }

  async mark(text: string): Promise<MarkBody> {
    return { text, sessions: (await this.#options.recorder.mark(text)).map(nameOf) };
  }

  async newSession(client: string, root: Buffer | null): Promise<MarkBody> {
    const { recorder } = this.#options;
    const address = client === UNATTRIBUTED ? client : oneClient(client);
    const rootId = root === null ? null : recorder.rootIdOf(root);
    if (rootId === undefined)
      throw new TraceError({
        code: 'not-recorded',
        message: `${root?.toString() ?? ''} is not being recorded`,
        hint: 'see `trace status`',
        exit: 'notFound',
      });
    const ended = await recorder.beginSession(address, rootId);
    return { text: address, sessions: ended.map(nameOf) };
  }

  label(client: string, label: string | null): LabelBody {
    return labelClient(this.#options.store, client, label);
  }

  /**
   * A line of JSON, the report, and then the image. Builds into a nameless file first, so that a
   * failure is an answer and not half an image.
   */
  async image(
    { asRecorded = false, ...request }: ImageRequestBody,
    output: Writable,
  ): Promise<void> {
    const { recorder, store, stateDir, version } = this.#options;
    await recorder.flush();
    const path = `${stateDir}/.image-${randomUUID()}`;
    const file = await open(path, 'wx+', 0o600);
    try {
      await rm(path);
      const recorded = asRecorded ? this.content.path : undefined;
      const built = await buildImage({ ...request, recorded, store, version, output: file.fd });
      const sizes = built.sizes && { sizes: sizesBody(built.sizes) };
      output.write(`${JSON.stringify({ ...imageReport(built), ...sizes })}\n`);
      await pipeline(file.createReadStream({ start: 0, autoClose: false }), output);
    } finally {
      await file.close();
    }
  }

  give(stream: Omit<GivenStreamOptions, 'given'>): Promise<void> {
    return takeGiven({ ...stream, given: this.#options.recorder.given });
  }

  shutdown(): void {
    this.#options.shutdown();
  }

  #warnings(path: Buffer): StartBody['warnings'] {
    const warnings: Warning[] = [];
    const { nfsd, untraced } = this.#options.recorder.status();
    const exported = exportedDirectories();
    if (!exported.some((outer) => isWithin(path, outer) || isWithin(outer, path)))
      warnings.push({
        message: `${path.toString()} is not exported by the kernel's NFS server`,
        hint: 'add it to /etc/exports and run `exportfs -ra`; recording goes on and sees it then',
      });
    if (untraced !== null) warnings.push({ message: untraced.message, hint: untraced.hint ?? '' });
    if (nfsd.state === 'waiting')
      warnings.push({
        message: "the kernel's NFS server is not running",
        hint: 'recording goes on, and traces it from the moment its module is loaded',
      });
    return warnings;
  }
}

/** What the walk of the root could not take in. */
function walkWarnings({
  path,
  unreadable,
  mountsBelow,
  collisions,
  refused,
  unlisted,
}: RecordingStatus): Warning[] {
  const root = path.toString();
  return [
    ...(unlisted !== null
      ? [
          {
            message: `${root}: ${unlisted}`,
            hint: 'it is tried again; until then handles from there have no name and become loss',
          },
        ]
      : []),
    ...(refused > 0
      ? [
          {
            message: `${refused} objects and names of ${root} had no room in memory`,
            hint: 'handles of those have no name and become loss; record a smaller tree',
          },
        ]
      : []),
    ...(unreadable > 0
      ? [
          {
            message: `${unreadable} directories of ${root} could not be listed`,
            hint: 'handles from there have no name and become loss; give the daemon CAP_DAC_READ_SEARCH',
          },
        ]
      : []),
    ...(mountsBelow > 0
      ? [
          {
            message: `${mountsBelow} other file systems are mounted below ${root}; they are not recorded`,
            hint: 'crossmnt on the export of the root, or an export of its own, brings one in',
          },
        ]
      : []),
    ...(collisions > 0
      ? [
          {
            message: `${collisions} objects of ${root} share the hash of their NFS handle with another`,
            hint: 'an access to one of them is recorded for all that share it',
          },
        ]
      : []),
  ];
}

function bodyOf(recording: RecordingStatus): RecordingBody {
  const { path, recordingId, label, objects, walking, startedUs, waiting } = recording;
  return {
    root: jsonPath(path),
    recording: recordingId,
    label,
    objects,
    walking,
    since: rfc3339(startedUs),
    waiting,
  };
}

type Warning = StartBody['warnings'][number];

function nameOf(session: number): string {
  return `session-${session}`;
}

function rfc3339(us: number): string {
  return new Date(us / 1000).toISOString();
}
