/**
 * The live view as lines of a terminal: a pure function of the view and the size.
 * Owns the layout. Every line fits the width; there are never more than the height.
 */
import { bytesOf } from '../../common/bytes.ts';
import { escapeName, size } from '../output.ts';
import { cells, cutTo, safe } from './cells.ts';
import { sessionTable } from './session-table.ts';
import { sparkline } from './sparkline.ts';
import type { View } from './view.ts';

export type Style = 'plain' | 'bold' | 'dim' | 'warn' | 'fail' | 'curve';

export interface Line {
  readonly text: string;
  readonly style: Style;
}

export interface Size {
  readonly columns: number;
  /** Infinity: as many as it takes. */
  readonly rows: number;
  /** May block characters be shown? */
  readonly unicode: boolean;
}

/** Below this there is no room for the curve; above the other it is several lines high. */
const ROWS_FOR_CURVE = 14;
const ROWS_FOR_HIGH_CURVE = 28;
const HIGH_CURVE = 4;

export function render(view: View, screen: Size): Line[] {
  const head = [
    ...title(view, screen.columns),
    ...troubles(view),
    ...recordings(view, screen),
    ...counts(view, screen.columns),
  ];
  const curve = screen.rows < ROWS_FOR_CURVE ? [] : curveLines(view, screen);
  const foot: Line[] =
    screen.rows < ROWS_FOR_CURVE || screen.rows === Infinity ? [] : [{ text: FOOT, style: 'dim' }];
  const room = screen.rows - head.length - curve.length - foot.length;
  const table = room < 2 ? [] : sessionTable(view, { columns: screen.columns, rows: room });
  // The foot at the bottom.
  const gap = Number.isFinite(room) ? Math.max(0, room - table.length) : 0;
  const blanks = foot.length === 0 ? [] : Array.from({ length: gap }, () => BLANK);
  return [...head, ...curve, ...table, ...blanks, ...foot]
    .slice(0, screen.rows === Infinity ? undefined : Math.max(0, screen.rows))
    .map(({ text, style }) => ({ text: cutTo(text, screen.columns), style }));
}

const BLANK: Line = { text: '', style: 'plain' };
const FOOT = 'q leaves. IMAGE: sizes of the files so far, without what an image adds to them';

function title({ body }: View, columns: number): Line[] {
  const { tier, nfsd, pid, version } = body.status;
  const parts = [
    clock(body.at),
    `tier ${tier}`,
    `NFS trace ${nfsd.state}`,
    `daemon ${pid} (${safe(version)})`,
  ];
  return [{ text: flow(parts, columns)[0] ?? '', style: 'bold' }];
}

function troubles({ body, trouble }: View): Line[] {
  const { failure, last_commit: committed, uncommitted } = body.status;
  const lines: Line[] = [];
  if (trouble !== null)
    lines.push({
      text: `since ${clock(trouble.since)} ${safe(trouble.text)}; waiting, what is below is old`,
      style: 'fail',
    });
  if (failure !== null)
    lines.push({
      text: `nothing reaches the database since ${clock(committed)}, ${uncommitted} commits wait: ${safe(failure)}`,
      style: 'fail',
    });
  return lines;
}

function recordings({ body }: View, { rows }: Size): Line[] {
  const all = body.status.recordings;
  if (all.length === 0) return [{ text: 'nothing is being recorded', style: 'warn' }];
  const most = rows < ROWS_FOR_CURVE ? 1 : 3;
  const lines = all.slice(0, most).map(({ root, label }): Line => {
    const about = label === null ? '' : ` (${safe(label)})`;
    return { text: `${safe(escapeName(bytesOf(root)))}${about}`, style: 'plain' };
  });
  const more = all.length - lines.length;
  const last = lines.pop() ?? BLANK;
  return [...lines, more > 0 ? { ...last, text: `${last.text} and ${more} more roots` } : last];
}

function counts({ body, rates }: View, columns: number): Line[] {
  const { total, status } = body;
  const lost = status.nfsd.lost + status.fanotify.lost;
  const left = body.uncounted === 0 ? [] : [`${body.uncounted} still to be counted`];
  const going = [
    `clients ${body.clients}`,
    `sessions ${body.open_sessions}`,
    ...left,
    `files ${total.files}`,
    `new ${aSecond(rates.files)}`,
    `events ${aSecond(rates.events)}`,
    `bytes ${size(total.bytes)}`,
    bytesASecond(rates.bytes),
  ];
  const missed = [
    ...(total.loss > 0 ? [`lost ${total.loss} in open sessions`] : []),
    ...(lost > 0 ? [`lost ${lost} events since the daemon began`] : []),
    ...(status.unresolved > 0 ? [`${status.unresolved} handles without a name`] : []),
  ];
  const dropped = Object.values(status.dropped).reduce((sum, count) => sum + count, 0);
  if (dropped > 0) missed.push(`${dropped} dropped beyond the bounds`);
  const style = missed.length > 0 ? 'fail' : 'plain';
  return [
    ...flow(going, columns).map((text): Line => ({ text, style: 'plain' })),
    ...flow(missed.length > 0 ? missed : ['nothing lost'], columns).map((text): Line => ({
      text,
      style,
    })),
  ];
}

/** Parts side by side, as many in a line as fit. */
function flow(parts: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  for (const part of parts) {
    const last = lines.at(-1);
    const longer = `${last ?? ''}  ${part}`;
    if (last === undefined || cells(longer) > columns) lines.push(part);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}

function curveLines({ body }: View, { columns, rows, unicode }: Size): Line[] {
  const high = Number.isFinite(rows) && rows >= ROWS_FOR_HIGH_CURVE;
  const { lines, peak, seconds } = sparkline({
    // The last second is not over.
    counts: body.new_files.slice(0, -1),
    lastSecond: Math.floor(Date.parse(body.at) / 1000) - 1,
    width: Number.isFinite(columns) ? columns : 80,
    height: high ? HIGH_CURVE : 1,
    unicode,
  });
  return [
    BLANK,
    {
      text: `new files a second, the last ${duration(seconds)}, at most ${decimal(peak)}`,
      style: 'dim',
    },
    ...lines.map((text): Line => ({ text, style: 'curve' })),
    BLANK,
  ];
}

function duration(seconds: number): string {
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

/** The time of day of an RFC 3339 time, in UTC. */
function clock(time: string): string {
  return `${time.slice(11, 19)}Z`;
}

function aSecond(rate: number | null): string {
  return rate === null ? '-/s' : `${decimal(rate)}/s`;
}

function bytesASecond(rate: number | null): string {
  return rate === null ? '-/s' : `${size(Math.round(rate))}/s`;
}

/** Small ones with a digit behind the point: half a file a second is not none. */
function decimal(value: number): string {
  return value >= 10 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1);
}
