/** What a line of strace's output is. Pure; text is latin1, one character a byte. */

export type Event =
  /** A call, or its first part: all from its name on, without `<unfinished ...>`. */
  | { readonly kind: 'call'; readonly text: string; readonly unfinished: boolean }
  | { readonly kind: 'resumed'; readonly name: string; readonly text: string }
  | { readonly kind: 'ended' }
  /** A signal, a frame of the stack (`-k`), or words of strace itself. */
  | { readonly kind: 'other' };

export interface StraceLine {
  /** Empty if it is not told: there is one process, or strace wrote to a terminal. */
  readonly pid: string;
  /** Wall clock, microseconds; null without -ttt. */
  readonly atUs: number | null;
  readonly event: Event;
}

/** `-f` to a file or to a terminal, with a program's name with `-Y`. */
const PID = /^(?:\[pid +(\d+)(?:<[^>]*>)?\] |(\d+)(?:<[^>]*>)? +)/;
/** `-ttt`; `-t`, `-tt`, `-r`; the call's number with `-n`, the instruction's address with `-i`. */
const EPOCH = /^(\d{9,11})\.(\d{1,9}) +/;
const CLOCK = /^(?:\d\d:\d\d:\d\d(?:\.\d+)? +|\(?\+? *\d{1,8}\.\d+\)? +)/;
const NUMBER = /^\[ *\d+\] /;
const ADDRESS = /^\[(?:[\da-f]{8}|[\da-f]{16}|\?+)\] /;
const UNFINISHED = /<(?:unfinished|detached) \.\.\.>$/;

/** null: it is none of strace's. */
export function parseLine(line: string): StraceLine | null {
  let text = line;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    const found = pattern.exec(text);
    if (found !== null) text = text.slice(found[0].length);
    return found;
  };
  const pid = take(PID);
  const epoch = take(EPOCH);
  if (epoch === null) take(CLOCK);
  take(NUMBER);
  take(ADDRESS);
  const event = eventOf(text);
  if (event === null) return null;
  const [, seconds = '', fraction = ''] = epoch ?? [];
  const atUs = epoch === null ? null : Number(seconds + fraction.padEnd(6, '0').slice(0, 6));
  return { pid: pid?.[1] ?? pid?.[2] ?? '', atUs, event };
}

function eventOf(text: string): Event | null {
  if (/^[a-z]\w*\(/i.test(text)) {
    const whole = text.replace(UNFINISHED, '');
    const unfinished = whole !== text;
    return unfinished || /\) += /.test(text) ? { kind: 'call', text: whole, unfinished } : null;
  }
  const [, name, rest] = /^<\.\.\. (\w+) resumed> ?([^]*)$/.exec(text) ?? [];
  if (name !== undefined && rest !== undefined) return { kind: 'resumed', name, text: rest };
  if (/^\+\+\+ (?:exited with|killed by) .*\+\+\+$/.test(text)) return { kind: 'ended' };
  return /^(?:--- .* ---|\+\+\+ .* \+\+\+|strace: .*| > .*)$/.test(text) ? { kind: 'other' } : null;
}
