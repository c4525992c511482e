/**
 * The open sessions as a table that fits: the most active first, columns that matter least left
 * out of a narrow terminal, and how many there are besides. Pure.
 */
import { bytesOf } from '../../common/bytes.ts';
import type { WatchedSession } from '../../daemon/api.ts';
import { escapeName, size } from '../output.ts';
import { cells, fit, safe } from './cells.ts';
import type { Line } from './render.ts';
import type { View } from './view.ts';

interface Column {
  readonly title: string;
  readonly side: 'left' | 'right';
  /** Cells that it takes at most. */
  readonly most: number;
  /** 0 is never left out; the highest goes first. */
  readonly rank: number;
  readonly cell: (session: WatchedSession, view: View) => string;
}

const GAP = 2;

const COLUMNS: readonly Column[] = [
  {
    title: 'CLIENT',
    side: 'left',
    most: 39,
    rank: 0,
    cell: ({ client, client_label: label, client_name: name }) =>
      safe(label === null && name === null ? client : `${label ?? name ?? ''} (${client})`),
  },
  { title: 'SESSION', side: 'left', most: 16, rank: 4, cell: ({ session }) => session },
  { title: 'ROOT', side: 'left', most: 30, rank: 8, cell: rootCell },
  { title: 'FILES', side: 'right', most: 12, rank: 1, cell: ({ files }) => String(files) },
  { title: 'NEW/S', side: 'right', most: 8, rank: 3, cell: newCell },
  { title: 'CALLS', side: 'right', most: 12, rank: 7, cell: ({ accesses }) => String(accesses) },
  { title: 'BYTES', side: 'right', most: 8, rank: 6, cell: ({ bytes }) => size(bytes) },
  {
    title: 'IMAGE',
    side: 'right',
    most: 8,
    rank: 2,
    cell: ({ image_bytes: image }) => size(image),
  },
  { title: 'LOST', side: 'right', most: 8, rank: 5, cell: ({ loss }) => String(loss) },
  { title: 'LAST', side: 'right', most: 7, rank: 9, cell: lastCell },
];

/** At most `rows` lines, the title's among them. */
export function sessionTable(
  view: View,
  { columns, rows }: { readonly columns: number; readonly rows: number },
): Line[] {
  const { sessions, open_sessions: open, status } = view.body;
  if (open === 0) return [{ text: 'no client has touched a recorded root', style: 'dim' }];
  const room = rows - 1;
  const shown = sessions.slice(0, open > room ? Math.max(0, room - 1) : room);
  const chosen = COLUMNS.filter(({ title }) => title !== 'ROOT' || status.recordings.length > 1);
  const table = chosen.map((column) => {
    const values = shown.map((session) => column.cell(session, view));
    const widest = [column.title, ...values].reduce((most, text) => Math.max(most, cells(text)), 0);
    return { column, values, width: Math.min(column.most, widest) };
  });
  while (widthOf(table) > columns && table.some(({ column }) => column.rank > 0)) {
    const least = table.reduce((worst, one) => (one.column.rank > worst.column.rank ? one : worst));
    table.splice(table.indexOf(least), 1);
  }
  const line = (text: (one: (typeof table)[number]) => string): string =>
    table
      .map((one) => fit(text(one), one.width, one.column.side))
      .join(' '.repeat(GAP))
      .trimEnd();
  const more = open - shown.length;
  return [
    { text: line(({ column }) => column.title), style: 'bold' },
    ...shown.map(({ loss, partial }, index): Line => ({
      text: line(({ values }) => values[index] ?? ''),
      style: loss > 0 ? 'fail' : partial ? 'warn' : 'plain',
    })),
    ...(more > 0 ? [{ text: `and ${more} more`, style: 'dim' } as const] : []),
  ];
}

function widthOf(table: readonly { readonly width: number }[]): number {
  return table.reduce((sum, { width }) => sum + width + GAP, -GAP);
}

function rootCell({ recording }: WatchedSession, { body }: View): string {
  const found = body.status.recordings.find((one) => one.recording === recording);
  if (found === undefined) return '?';
  const path = safe(escapeName(bytesOf(found.root)));
  // The end of a path tells more than its beginning.
  return path.slice(path.lastIndexOf('/', path.length - 2) + 1);
}

function newCell({ session }: WatchedSession, { newFiles }: View): string {
  const rate = newFiles.get(session);
  return rate === undefined ? '-' : String(Math.round(rate));
}

function lastCell({ last }: WatchedSession, { body }: View): string {
  const seconds = Math.max(0, Math.round((Date.parse(body.at) - Date.parse(last)) / 1000));
  if (seconds < 3) return 'now';
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
