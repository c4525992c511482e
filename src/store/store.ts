/**
 * The database of recordings and sessions: the only door to SQL. Owns the connection and turns
 * its failures into the one error type. Must not know the daemon, the command line or images.
 */
import type { FileHandle } from '../common/batches.ts';
import type { ClientIdentity, OpenSession, PendingBoot, SessionNote } from '../common/boots.ts';
import { TraceError } from '../common/errors.ts';
import type { SessionTier } from '../common/words.ts';
import { storeError } from './errors.ts';
import { Place } from './place.ts';
import { openDatabase, type OpenOptions, type OpenedDatabase } from './open-database.ts';
import { Reader } from './reader.ts';
import { Tally } from './tally.ts';
import { Writer } from './writer.ts';
import type {
  ClientRow,
  ClockRow,
  FileAccessRow,
  IngestBatch,
  KnownFile,
  LossRow,
  LossTotal,
  MarkRow,
  MissingPath,
  MissingTotal,
  NewRecording,
  NextIds,
  RecordingRow,
  RootRow,
  SessionRow,
  TallySnapshot,
} from './types.ts';

export type * from './types.ts';

export class Store {
  readonly path: string;
  readonly #opened: OpenedDatabase;
  readonly #place: Place;
  readonly #reader: Reader;
  readonly #writer: Writer | null;
  #tally: Tally | null = null;

  /**
   * Opens the database; without `readOnly` creates and migrates it first.
   * @throws TraceError `database-missing`, `-newer`, `-older`, `-foreign`, `-damaged`,
   *   `-unreadable`, `-busy`, `-io`
   */
  static open(options: OpenOptions): Store {
    const opened = openDatabase(options);
    try {
      return new Store(opened, options.readOnly === true);
    } catch (error) {
      opened.close();
      throw storeError(error, opened.db.name);
    }
  }

  private constructor(opened: OpenedDatabase, readOnly: boolean) {
    this.path = opened.db.name;
    this.#opened = opened;
    this.#place = new Place(this.path);
    this.#reader = new Reader(opened.db);
    this.#writer = readOnly ? null : new Writer(opened.db);
  }

  close(): void {
    if (this.#opened.db.open) this.#try(() => this.#opened.close());
  }

  /** Everything that `work` reads is of one moment, whatever is committed meanwhile. */
  snapshot<T>(work: () => T): T {
    return this.#try(() => this.#reader.snapshot(work));
  }

  /** First unused numbers. A number is never used twice, also when its rows are gone. */
  nextIds(): NextIds {
    return this.#try(() => this.#reader.nextIds());
  }

  /** When the last batch was committed: a gap after a crash begins here. */
  lastIngestUs(): number | null {
    return this.#try(() => this.#reader.lastIngestUs());
  }

  ensureRoot(path: Buffer): number {
    return this.#write((writer) => writer.ensureRoot(path));
  }

  roots(): RootRow[] {
    return this.#try(() => this.#reader.roots());
  }

  startRecording(recording: NewRecording): number {
    return this.#write((writer) => writer.startRecording(recording));
  }

  /** Ends a recording, and makes all that was committed safe against a power cut. */
  stopRecording(id: number, atUs: number): void {
    this.#write((writer) => {
      writer.stopRecording(id, atUs);
      writer.sync();
    });
  }

  /** The tier of sessions that open from now on. */
  setTier(recordingId: number, tier: SessionTier): void {
    this.#write((writer) => writer.setTier(recordingId, tier));
  }

  activeRecordings(): RecordingRow[] {
    return this.#try(() => this.#reader.activeRecordings());
  }

  /** Sessions to go on with after a restart. */
  openSessions(): OpenSession[] {
    return this.#try(() => this.#reader.openSessions());
  }

  /** Where, below a root, file systems were recorded with it; relative paths, bytewise sorted. */
  mounts(root: Buffer): Buffer[] {
    return this.#try(() => this.#reader.mounts(root));
  }

  identities(): ClientIdentity[] {
    return this.#try(() => this.#reader.identities());
  }

  /** Boot evidence that waits for a first access. */
  pendingBoots(): PendingBoot[] {
    return this.#try(() => this.#reader.pendingBoots());
  }

  /** The clock of the last batch; null before the first. */
  clock(): ClockRow | null {
    return this.#try(() => this.#reader.clock());
  }

  /** Every client that has a session or a label, by address. */
  clients(): ClientRow[] {
    return this.#try(() => this.#reader.clients());
  }

  called(address: string): Pick<ClientRow, 'label' | 'name'> {
    return this.#try(() => this.#reader.called(address));
  }

  /** Sessions whose content is to be kept, open ones too, and nothing has come of it; by number. */
  sessionsToKeep(fromId: number): { readonly id: number; readonly open: boolean }[] {
    return this.#try(() => this.#reader.sessionsToKeep(fromId));
  }

  /** What came of keeping a session's content; replaces what was said before. */
  noteContent(note: SessionNote): void {
    this.#write((writer) => writer.noteContent(note));
  }

  /**
   * What a person calls a client; null takes it away. Nothing is changed if the label is another
   * client's.
   */
  setLabel(address: string, label: string | null): { readonly takenBy: string | null } {
    return this.#write((writer) => writer.setLabel(address, label));
  }

  /** How many clients have a label. */
  labels(): number {
    return this.#write((writer) => writer.labels());
  }

  /** Files of a root that are known by a handle. No other call may come before its end. */
  knownFiles(rootId: number): Iterable<KnownFile> {
    return this.#reader.knownFiles(rootId);
  }

  /** The number of a file by where it is; undefined if there is none. */
  fileIdOf(rootId: number, mount: Buffer, handle: FileHandle): number | undefined {
    return this.#try(() => this.#reader.fileIdOf(rootId, mount, handle));
  }

  /** Writes one flush in one transaction: all of it or, with an error, nothing. */
  ingest(batch: IngestBatch): void {
    this.#write((writer) => writer.ingest(batch));
    try {
      this.#tally?.note(batch);
    } catch {
      // Who watches gets a new one, which starts from what is committed; the batch is.
      this.#tally = null;
    }
  }

  /**
   * What is going on in the open sessions; kept up to date from the first call until
   * {@link endTally}. Each call counts older sessions for about `budgetMs`.
   * @param options.most sessions to list
   * @param options.wallUs now
   */
  tally(options: {
    readonly most: number;
    readonly budgetMs: number;
    readonly wallUs: number;
  }): TallySnapshot {
    return this.#try(() => {
      this.#tally ??= new Tally(this.#opened.db);
      this.#tally.count(options.budgetMs, options.wallUs);
      return this.#tally.snapshot(options.most, options.wallUs);
    });
  }

  endTally(): void {
    this.#tally = null;
  }

  /** A named moment in the sessions given, or in every open one. Returns their numbers. */
  addMark(mark: {
    readonly text: string;
    readonly atUs: number;
    readonly sessionIds?: readonly number[];
  }): number[] {
    return this.#write((writer) => writer.addMark(mark));
  }

  /** Sessions by number. `client`: address or label. `sinceUs`: those with an access at or after that time. */
  sessions(
    filter: { readonly rootId?: number; readonly client?: string; readonly sinceUs?: number } = {},
  ): SessionRow[] {
    const { rootId = null, client = null, sinceUs = null } = filter;
    return this.#try(() => this.#reader.sessions({ rootId, client, sinceUs }));
  }

  session(id: number): SessionRow | undefined {
    return this.#try(() => this.#reader.session(id));
  }

  /**
   * What a session touched, in bytewise order of the first name; objects without a name last.
   * @param options.operations only accesses with one of these operation bits
   */
  files(sessionId: number, options: { readonly operations?: number } = {}): FileAccessRow[] {
    return this.#try(() => this.#reader.files(sessionId, options.operations ?? null));
  }

  /** Of the files that a session touched, those that are known by one. */
  handles(sessionId: number): ReadonlyMap<number, FileHandle> {
    return this.#try(() => this.#reader.handles(sessionId));
  }

  /** Every name of everything a session touched but the root itself, once, in bytewise order. */
  list(sessionId: number): Buffer[] {
    return this.#try(() => this.#reader.list(sessionId));
  }

  /**
   * Names that a session looked for in vain (tiers `exact+names`, `import`), or used and the root had
   * no longer (`local`), in bytewise order.
   */
  missing(sessionId: number): MissingPath[] {
    return this.#try(() => this.#reader.missing(sessionId));
  }

  missingTotal(sessionId: number): MissingTotal {
    return this.#try(() => this.#reader.missingTotal(sessionId));
  }

  /** Numbers of the files that a session touched. */
  fileIdsOf(sessionId: number): number[] {
    return this.#try(() => this.#reader.fileIdsOf(sessionId));
  }

  /** What a recording lost, by place; each loss once. */
  lossesOfRecording(recordingId: number): LossTotal[] {
    return this.#try(() => this.#reader.lossesOfRecording(recordingId));
  }

  /** A session's losses; without one, each loss once, however many sessions it hit. */
  losses(filter: { readonly sessionId?: number } = {}): LossRow[] {
    return this.#try(() => this.#reader.losses(filter.sessionId ?? null));
  }

  marks(sessionId: number): MarkRow[] {
    return this.#try(() => this.#reader.marks(sessionId));
  }

  #write<T>(work: (writer: Writer) => T): T {
    const writer = this.#writer;
    if (writer === null)
      throw new TraceError({
        code: 'database-read-only',
        message: `the database ${this.path} was opened to read`,
        exit: 'bug',
      });
    return this.#try(() => {
      this.#place.check();
      return work(writer);
    });
  }

  #try<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw storeError(error, this.path);
    }
  }
}
