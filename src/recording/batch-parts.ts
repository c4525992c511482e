/**
 * What a batch is made of, for the queue that must bound it and must find the one row that the
 * store refuses. Owns the estimate of its memory and the way it is cut in two. Pure.
 */
import type { IngestBatch } from '../store/types.ts';

/** Measured with Node 24 on batches of 10,000 rows: an object with its numbers and its slots. */
const ACCESS_BYTES = 200;
const STATE_BYTES = 200;
const FILE_BYTES = 700;
const NAME_BYTES = 200;
const OTHER_BYTES = 400;

type Field = Exclude<keyof IngestBatch, 'atUs' | 'clock' | 'shiftUs'>;

/** In the order in which the store writes them: what comes later may refer to what is before. */
const FIELDS = Object.keys({
  opened: true,
  revised: true,
  identities: true,
  forgotten: true,
  pending: true,
  notes: true,
  clientNames: true,
  mounts: true,
  files: true,
  names: true,
  accesses: true,
  missing: true,
  missingDropped: true,
  closed: true,
  losses: true,
  grown: true,
} satisfies Record<Field, true>) as Field[];

const OTHERS = FIELDS.filter((field) => !['files', 'names', 'accesses'].includes(field));

/** Roughly the memory that a batch takes. */
export function bytesOfBatch(batch: IngestBatch): number {
  const paths =
    (batch.files ?? []).reduce(
      (sum, { names }) => sum + names.reduce((bytes, { length }) => bytes + length, 0),
      0,
    ) + (batch.names ?? []).reduce((sum, { path }) => sum + path.length, 0);
  const states = (batch.accesses ?? []).reduce(
    (sum, { state }) => (state === undefined ? sum : sum + 1),
    0,
  );
  return (
    (batch.accesses?.length ?? 0) * ACCESS_BYTES +
    states * STATE_BYTES +
    (batch.files?.length ?? 0) * FILE_BYTES +
    (batch.names?.length ?? 0) * NAME_BYTES +
    OTHERS.reduce((sum, field) => sum + (batch[field]?.length ?? 0) * OTHER_BYTES, OTHER_BYTES) +
    paths
  );
}

/** How many rows it asks the store for; a step of the clock is one. */
export function rowsOfBatch(batch: IngestBatch): number {
  const step = (batch.shiftUs ?? 0) === 0 ? 0 : 1;
  return FIELDS.reduce((sum, field) => sum + (batch[field]?.length ?? 0), step);
}

interface RowOwner {
  /** In words. */
  readonly kind: string;
  /** Whose it is, if it is a session's that the store knows. */
  readonly sessionId?: number;
  /** Else whose, if it is one recording's. */
  readonly recordingId?: number;
  /** Operations that it stands for. */
  readonly count?: number;
  /** Wall clock; absent where the row has no time of its own. */
  readonly firstUs?: number;
  readonly lastUs?: number;
}

/** What the one row of a batch is, for the loss that it becomes when the store refuses it. */
export function rowOf(batch: IngestBatch): RowOwner {
  const [access] = batch.accesses ?? [];
  if (access !== undefined) return { kind: 'an access', ...timed(access) };
  const [missing] = batch.missing ?? [];
  if (missing !== undefined) return { kind: 'a missing name', ...timed(missing) };
  const [dropped] = batch.missingDropped ?? [];
  if (dropped !== undefined) return { kind: 'a missing name', ...dropped };
  const [note] = batch.notes ?? [];
  if (note !== undefined) return { kind: 'a note', sessionId: note.sessionId, ...at(note) };
  const [closed] = batch.closed ?? [];
  if (closed !== undefined) return { kind: "a session's end", sessionId: closed.id, ...at(closed) };
  const [revised] = batch.revised ?? [];
  if (revised !== undefined) return { kind: 'a session', sessionId: revised.id };
  // The store does not know this one.
  const [opened] = batch.opened ?? [];
  if (opened !== undefined) return { kind: 'a session', recordingId: opened.recordingId };
  if ((batch.files ?? []).length > 0) return { kind: 'a file' };
  if ((batch.names ?? []).length > 0) return { kind: 'a name' };
  const [grown] = batch.grown ?? [];
  if (grown !== undefined) return { kind: "a loss's end", recordingId: grown.recordingId };
  // A loss that is refused belongs to a session that the store does not know.
  return { kind: (batch.losses ?? []).length > 0 ? 'a loss' : 'a change' };
}

type Timed = Required<Pick<RowOwner, 'sessionId' | 'count' | 'firstUs' | 'lastUs'>>;

function timed({ sessionId, count, firstUs, lastUs }: Timed): Timed {
  return { sessionId, count, firstUs, lastUs };
}

function at({ atUs }: { readonly atUs: number }): Required<Pick<RowOwner, 'firstUs' | 'lastUs'>> {
  return { firstUs: atUs, lastUs: atUs };
}

/** The first half of the rows and the second, each in the order in which they are written. */
export function halvesOfBatch(batch: IngestBatch): [IngestBatch, IngestBatch] {
  const { atUs, clock, shiftUs = 0, ...rest } = batch;
  const time = { atUs, ...(clock === undefined ? {} : { clock }) };
  // The clock is set once, before everything.
  if (shiftUs !== 0)
    return [
      { ...time, shiftUs },
      { ...time, ...rest },
    ];
  let left = Math.ceil(rowsOfBatch(batch) / 2);
  const first: Record<string, readonly unknown[]> = {};
  const second: Record<string, readonly unknown[]> = {};
  for (const field of FIELDS) {
    const rows = batch[field] ?? [];
    const here = Math.min(left, rows.length);
    left -= here;
    if (here > 0) first[field] = rows.slice(0, here);
    if (here < rows.length) second[field] = rows.slice(here);
  }
  return [
    { ...time, ...first },
    { ...time, ...second },
  ];
}
