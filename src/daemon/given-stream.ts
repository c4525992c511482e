/**
 * The daemon's side of a session that is given (given-api.ts): reads its lines, and sees to it that
 * the session ends however its giver ends. Owns that, and what of a giver's lines is in memory.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { z } from 'zod';
import { TraceError } from '../common/errors.ts';
import type { GivenSessions } from '../recording/given-sessions.ts';
import { NO_COUNTS, type GivenCounts, type GivenSkip } from '../recording/given-types.ts';
import type { ErrorBody } from './api.ts';
import { checkStart } from './check-start.ts';
import type { BegunBody, EndedBody } from './given-answers.ts';
import { endLine, MOST_LINE, openingLine, rowLine } from './given-api.ts';
import { checked, errorBody, knownError } from './wire.ts';

/** Rows of one transaction, at the most. */
const MOST_ROWS = 1000;
const NEWLINE = 0x0a;

export interface GivenStreamOptions {
  readonly given: GivenSessions;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The daemon ends. */
  readonly ending: AbortSignal;
  /** Called when the giver has said what it wants: it may take its time from now on. */
  readonly asked: () => void;
}

/** Settles when the session has ended; throws what comes before it was open. */
export async function takeGiven(options: GivenStreamOptions): Promise<void> {
  const { given, request, response, ending, asked } = options;
  const end = (): unknown => request.destroy();
  ending.addEventListener('abort', end, { once: true });
  try {
    const lines = linesOf(request);
    const { value: [opening, ...rest] = [] } = await lines.next();
    const { root, ...first } = checked(openingLine, opening);
    asked();
    const path = checkStart({ root, clients: [] });
    const session = await given.begin({ ...first, root: path });
    response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
    tell(response, { session: `session-${session}` });
    try {
      const { counts, losses } = await takeRows(session, { given, lines, rest });
      await given.end(session, { broken: null, losses });
      tell(response, { ended: counts });
    } catch (error) {
      const broken = ending.aborted ? 'the daemon ended while it was given' : storyOf(error);
      const worse = await endBroken(session, { given, broken });
      tell(response, errorBody(knownError(worse ?? error)));
    }
    response.end();
  } finally {
    ending.removeEventListener('abort', end);
    // What is still said after an error.
    request.resume();
  }
}

/** @returns the bug, if one kept the session from ending: its giver is to hear of it all the same */
async function endBroken(
  session: number,
  { given, broken }: { readonly given: GivenSessions; readonly broken: string },
): Promise<unknown> {
  try {
    if (given.has(session)) await given.end(session, { broken });
    return null;
  } catch (error) {
    return error;
  }
}

function storyOf(error: unknown): string {
  return error instanceof TraceError
    ? `it was refused: ${error.message}`
    : 'whoever gave it went away before its end';
}

/** JSON values, as many as came at once. */
type Lines = AsyncGenerator<readonly unknown[], undefined>;

async function takeRows(
  session: number,
  { given, lines, rest }: { given: GivenSessions; lines: Lines; rest: readonly unknown[] },
): Promise<{ counts: GivenCounts; losses: z.infer<typeof endLine>['end']['losses'] }> {
  let counts = NO_COUNTS;
  for (let values = rest; ;) {
    const at = values.findIndex(isEnd);
    const rows = (at < 0 ? values : values.slice(0, at)).map((value) => checked(rowLine, value));
    for (let from = 0; from < rows.length; from += MOST_ROWS)
      counts = sum(counts, await given.add(session, rows.slice(from, from + MOST_ROWS)));
    if (at >= 0) return { counts, losses: checked(endLine, values[at]).end.losses };
    const next = await lines.next();
    if (next.done === true) throw new Error('it ends without saying so');
    values = next.value;
  }
}

function isEnd(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'end' in value;
}

async function* linesOf(request: IncomingMessage): Lines {
  let begun: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    const last = chunk.lastIndexOf(NEWLINE);
    const whole = last < 0 ? [] : [...begun, chunk.subarray(0, last)];
    const left = chunk.subarray(last + 1);
    [begun, length] = last < 0 ? [[...begun, left], length + left.length] : [[left], left.length];
    if (length > MOST_LINE) throw tooLong();
    if (last >= 0) yield Buffer.concat(whole).toString().split('\n').map(parsed);
  }
  return undefined;
}

function parsed(line: string): unknown {
  if (line.length > MOST_LINE) throw tooLong();
  try {
    return JSON.parse(line);
  } catch {
    throw badLine('a line is no JSON');
  }
}

function tooLong(): TraceError {
  return badLine(`a line has more than ${MOST_LINE} bytes`);
}

function badLine(message: string): TraceError {
  return new TraceError({ code: 'bad-request', message, exit: 'usage' });
}

function tell(response: ServerResponse, line: BegunBody | EndedBody | ErrorBody): void {
  response.write(`${JSON.stringify(line)}\n`);
}

function sum(a: GivenCounts, b: GivenCounts): GivenCounts {
  const skipped = Object.entries(a.skipped).map(([why, count]) => [
    why,
    count + b.skipped[why as GivenSkip],
  ]);
  return {
    found: a.found + b.found,
    missing: a.missing + b.missing,
    skipped: Object.fromEntries(skipped) as GivenCounts['skipped'],
  };
}
