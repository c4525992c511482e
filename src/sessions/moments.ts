/**
 * Marks as bounds: only what a session used before or after a named moment. Owns what the bounds
 * mean; pure, must not know the store.
 *
 * An object counts by its first and its last use: one that was in use before the mark and after it
 * is on both sides.
 */
import { TraceError } from '../common/errors.ts';
import type { FileAccessRow, MarkRow, SessionRow } from '../store/types.ts';

/** Texts of marks; `TEXT#2` is the second of several with one text. */
export interface Moments {
  /** Only what was last used at this mark or after it. */
  readonly since?: string | undefined;
  /** Only what was first used before this mark. */
  readonly until?: string | undefined;
}

/**
 * Which objects of a session are within the moments.
 * @throws TraceError `unknown-mark`, `ambiguous-mark`, `marks-out-of-order`
 */
export function within(
  session: SessionRow,
  { since, until }: Moments,
): (row: FileAccessRow) => boolean {
  const from = since === undefined ? -Infinity : markOf(session, since).atUs;
  const to = until === undefined ? Infinity : markOf(session, until).atUs;
  if (from > to)
    throw new TraceError({
      code: 'marks-out-of-order',
      message: `in session-${session.id} the mark '${since ?? ''}' comes after '${until ?? ''}'`,
      hint: '--since takes the earlier mark, --until the later one',
      exit: 'usage',
    });
  return ({ firstUs, lastUs }) => lastUs >= from && firstUs < to;
}

function markOf({ id, marks }: SessionRow, text: string): MarkRow {
  const found = marksNamed(text, marks);
  const [mark] = found;
  if (mark === undefined)
    throw new TraceError({
      code: 'unknown-mark',
      message: `session-${id} has no mark '${text}'`,
      hint:
        marks.length === 0
          ? 'it has no marks at all; `trace mark TEXT` sets one while a session is open'
          : `its marks: ${listed(marks)}`,
      exit: 'notFound',
    });
  if (found.length > 1)
    throw new TraceError({
      code: 'ambiguous-mark',
      message: `session-${id} has ${found.length} marks '${text}'`,
      hint: `say which, '${text}#1' for the first of them; its marks: ${listed(marks)}`,
      exit: 'usage',
    });
  return mark;
}

/** By their very text; only if there are none by text and number. */
function marksNamed(name: string, marks: readonly MarkRow[]): readonly MarkRow[] {
  const found = marks.filter(({ text }) => text === name);
  const [, text, number] = /^(.*)#([1-9]\d*)$/s.exec(name) ?? [];
  if (found.length > 0 || text === undefined) return found;
  const mark = marks.filter((one) => one.text === text).at(Number(number) - 1);
  return mark === undefined ? [] : [mark];
}

/** As many as a person reads. */
const MOST_LISTED = 20;

/** Each by the name that selects it. */
function listed(marks: readonly MarkRow[]): string {
  const shown = marks.slice(0, MOST_LISTED).map((mark) => {
    const same = marks.filter(({ text }) => text === mark.text);
    const name = same.length === 1 ? mark.text : `${mark.text}#${same.indexOf(mark) + 1}`;
    return `'${name}' (${new Date(mark.atUs / 1000).toISOString()})`;
  });
  const more = marks.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}
