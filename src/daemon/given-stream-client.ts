/**
 * The giver's side of a session that is given (given-api.ts). Owns the connection, and the news that
 * it broke or that the daemon refused.
 */
import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { z } from 'zod';
import type { GivenCounts, GivenLoss, GivenOpening, GivenRow } from '../recording/given-types.ts';
import { errorOf, unreachable } from './client-errors.ts';
import { GIVEN_ROUTE, type BegunBody, type EndedBody } from './given-answers.ts';
import type { rowLine } from './given-api.ts';
import { request } from './http.ts';

export type { GivenCounts, GivenLoss, GivenSkip } from '../recording/given-types.ts';

/** A row; what is left out is as a {@link rowLine} has it. */
export type GivingRow = Pick<GivenRow, 'path'> & Partial<GivenRow>;

export class GivenStream {
  /** `session-42`. */
  readonly session: string;
  /** Aborted, with a TraceError as its reason, as soon as the session cannot be given any more. */
  readonly broken: AbortSignal;
  readonly #sent: ClientRequest;
  readonly #breaking = new AbortController();
  readonly #ended: Promise<GivenCounts>;

  /**
   * Resolves when the session is open: `trace sessions` has it.
   * @param signal ends the wait for that
   * @throws TraceError `daemon-not-running`, `root-not-found`, ...
   */
  static async open(
    socket: string,
    { root, giver, label }: GivenOpening,
    signal?: AbortSignal,
  ): Promise<GivenStream> {
    const only = { agent: false, servername: '' };
    const headers = { 'Content-Type': 'application/x-ndjson' };
    const where = { socketPath: socket, method: 'POST', path: GIVEN_ROUTE };
    const sent = request({ ...where, ...only, headers, signal });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      sent.once('response', resolve);
      sent.on('error', (error) => reject(unreachable(socket, error)));
    });
    sent.write(`${JSON.stringify({ root: root.toString('base64'), giver, label })}\n`);
    const response = await answered;
    if (response.statusCode !== 200) {
      sent.destroy();
      const parts = (await response.toArray()) as Buffer[];
      throw errorOf(Buffer.concat(parts).toString());
    }
    const lines = linesOf(socket, response);
    const begun = (await lines()) as BegunBody;
    return new GivenStream({ session: begun.session, sent, lines });
  }

  private constructor(parts: {
    readonly session: string;
    readonly sent: ClientRequest;
    readonly lines: () => Promise<unknown>;
  }) {
    this.session = parts.session;
    this.broken = this.#breaking.signal;
    this.#sent = parts.sent;
    this.#ended = parts.lines().then((line) => (line as EndedBody).ended);
    this.#ended.catch((error: unknown) => this.#breaking.abort(error));
  }

  /**
   * Gives rows; resolves when more may come.
   * @throws TraceError why the session is broken
   */
  async rows(rows: readonly GivingRow[]): Promise<void> {
    this.broken.throwIfAborted();
    if (rows.length === 0) return;
    const lines = rows.map((row) => `${JSON.stringify(lineOf(row))}\n`);
    if (this.#sent.write(lines.join(''))) return;
    try {
      await once(this.#sent, 'drain', { signal: this.broken });
    } finally {
      this.broken.throwIfAborted();
    }
  }

  /**
   * The session is whole, but for what the giver may have missed.
   * @throws TraceError why it is broken
   */
  async end(losses: readonly GivenLoss[] = []): Promise<GivenCounts> {
    this.broken.throwIfAborted();
    this.#sent.end(`${JSON.stringify({ end: { losses } })}\n`);
    return this.#ended;
  }

  /** Goes away: the session ends with a loss. */
  abandon(): void {
    this.#sent.destroy();
  }
}

function lineOf({ path, ...row }: GivingRow): z.input<typeof rowLine> {
  return { path: path.toString('base64'), ...row };
}

/** The next line of an answer, each time. */
function linesOf(socket: string, response: IncomingMessage): () => Promise<unknown> {
  const lines = splitLines(response);
  const gone = (cause: Error): Error => unreachable(socket, cause);
  return async () => {
    const next = await lines.next().catch((cause: unknown) => {
      throw gone(cause as Error);
    });
    if (next.done === true) throw gone(new Error('it ended early'));
    const line = JSON.parse(next.value) as object;
    if ('error' in line) throw errorOf(next.value);
    return line;
  };
}

async function* splitLines(response: IncomingMessage): AsyncGenerator<string> {
  let begun = '';
  for await (const part of response.setEncoding('utf8') as AsyncIterable<string>) {
    const [first = '', ...others] = part.split('\n');
    const lines = [begun + first, ...others];
    begun = lines.pop() ?? '';
    yield* lines;
  }
}
