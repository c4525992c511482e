/**
 * Talks to a running daemon over its Unix socket. Owns the HTTP of the asking side.
 */
import type { IncomingMessage } from 'node:http';
import { TraceError } from '../common/errors.ts';
import { Pace } from '../common/pace.ts';
import type { ImageSizes } from '../image/sizes/weigh.ts';
import { errorOf, unreachable } from './client-errors.ts';
import type { GivenOpening } from '../recording/given-types.ts';
import { GivenStream } from './given-stream-client.ts';
import { request } from './http.ts';
import type {
  CheckedBody,
  ContentBody,
  KeepRequestBody,
  KeptBody,
  PrunedBody,
} from './content-api.ts';
import type { ImageReport } from './image-report.ts';
import { type SizesBody, sizesOf } from './sizes-body.ts';
import type {
  ImageRequestBody,
  LabelBody,
  MarkBody,
  StartBody,
  StatusBody,
  StopBody,
  WatchBody,
} from './api.ts';

/** How long a daemon may take for its last commit. */
const PATIENCE_MS = 60_000;

export interface BuiltElsewhere {
  readonly report: ImageReport;
  /** Only when they were asked for. */
  readonly sizes: ImageSizes | undefined;
  readonly data: AsyncIterable<Buffer>;
}

type Told = ImageReport & { readonly sizes?: SizesBody };

export class ControlClient {
  readonly #socket: string;

  constructor(options: { readonly socket: string }) {
    this.#socket = options.socket;
  }

  status(): Promise<StatusBody> {
    return this.#json('GET', '/v1/status');
  }

  /** @param signal gives up waiting */
  watch(options: { readonly most: number; readonly signal?: AbortSignal }): Promise<WatchBody> {
    return this.#json('GET', `/v1/watch?most=${options.most}`, undefined, options.signal);
  }

  start(body: {
    readonly root: Buffer;
    readonly label: string | null;
    readonly clients: readonly string[];
    readonly onLoss?: string;
    readonly keepContent?: boolean;
  }): Promise<StartBody> {
    return this.#json('POST', '/v1/start', { ...body, root: body.root.toString('base64') });
  }

  stop(root: Buffer | null): Promise<StopBody> {
    return this.#json('POST', '/v1/stop', { root: root?.toString('base64') ?? null });
  }

  mark(text: string): Promise<MarkBody> {
    return this.#json('POST', '/v1/mark', { text });
  }

  newSession(client: string, root: Buffer | null): Promise<MarkBody> {
    return this.#json('POST', '/v1/sessions', { client, root: root?.toString('base64') ?? null });
  }

  label(client: string, label: string | null): Promise<LabelBody> {
    return this.#json('POST', '/v1/clients/label', { client, label });
  }

  content(): Promise<ContentBody> {
    return this.#json('GET', '/v1/content');
  }

  keepContent(request: KeepRequestBody): Promise<KeptBody> {
    return this.#json('POST', '/v1/content/keep', request);
  }

  removeContent(expression: string): Promise<PrunedBody> {
    return this.#json('POST', '/v1/content/remove', { expression });
  }

  pruneContent(): Promise<PrunedBody> {
    return this.#json('POST', '/v1/content/prune', {});
  }

  checkContent(): Promise<CheckedBody> {
    return this.#json('POST', '/v1/content/check', {});
  }

  /**
   * Opens a session that is given row by row.
   * @param signal ends the wait for the daemon's answer
   */
  give(opening: GivenOpening, signal?: AbortSignal): Promise<GivenStream> {
    return GivenStream.open(this.#socket, opening, signal);
  }

  /** Ends the daemon after a last commit. */
  shutdown(): Promise<Record<string, never>> {
    return this.#json('POST', '/v1/shutdown', {});
  }

  /** Resolves when nobody listens any more: the daemon has committed and let go of everything. */
  async ended(): Promise<void> {
    const pace = new Pace();
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end;) {
      try {
        await pace.look(() => this.status());
      } catch (error) {
        if (error instanceof TraceError && error.code === 'daemon-not-running') return;
      }
      await pace.pause();
    }
    throw new TraceError({
      code: 'daemon-ending',
      message: 'the daemon does not end',
      hint: 'see its log',
      exit: 'unavailable',
    });
  }

  /** The image of an expression, built by the daemon: what it has to say of it, and its bytes. */
  async image(body: ImageRequestBody): Promise<BuiltElsewhere> {
    const parts = this.#parts(await this.#send('POST', '/v1/image', body));
    const line: Buffer[] = [];
    for (;;) {
      const next = await parts.next();
      if (next.done === true) throw this.#unreachable(new Error('it ended early'));
      const { value } = next;
      const end = value.indexOf('\n');
      line.push(end < 0 ? value : value.subarray(0, end));
      if (end < 0) continue;
      const told = JSON.parse(Buffer.concat(line).toString()) as Told;
      const { sizes, ...report } = told;
      return {
        report,
        sizes: sizes && sizesOf(sizes),
        data: this.#whole(value.subarray(end + 1), parts, report.bytes),
      };
    }
  }

  /** What is left of an answer; throws unless it is exactly `length` bytes. */
  async *#whole(
    first: Buffer,
    rest: AsyncGenerator<Buffer>,
    length: number,
  ): AsyncGenerator<Buffer> {
    let bytes = first.length;
    if (first.length > 0) yield first;
    for await (const part of rest) {
      bytes += part.length;
      yield part;
    }
    if (bytes !== length) throw this.#unreachable(new Error(`${bytes} of ${length} bytes came`));
  }

  async *#parts(response: IncomingMessage): AsyncGenerator<Buffer> {
    try {
      for await (const part of response) yield part as Buffer;
    } catch (error) {
      throw this.#unreachable(error as NodeJS.ErrnoException);
    }
  }

  async #json<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
    const response = await this.#send(method, path, body, signal);
    return JSON.parse(await this.#text(response)) as T;
  }

  /** Resolves with a response of status 200; any other becomes the TraceError that it carries. */
  async #send(
    method: string,
    path: string,
    body?: unknown,
    signal?: AbortSignal,
  ): Promise<IncomingMessage> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      // A connection of its own: a kept one may have been closed by the daemon meanwhile.
      // Without a servername Node asks whether `localhost` is an IPv6 address, and the regular
      // expression for that takes 2.5 ms to compile.
      const only = { agent: false, servername: '' };
      const sent = request({ socketPath: this.#socket, method, path, signal, ...only }, resolve);
      sent.on('error', (error: NodeJS.ErrnoException) => reject(this.#unreachable(error)));
      if (body === undefined) sent.end();
      else sent.setHeader('Content-Type', 'application/json').end(JSON.stringify(body));
    });
    if (response.statusCode === 200) return response;
    throw errorOf(await this.#text(response));
  }

  async #text(response: IncomingMessage): Promise<string> {
    const parts: Buffer[] = [];
    for await (const part of this.#parts(response)) parts.push(part);
    return Buffer.concat(parts).toString();
  }

  #unreachable(cause: NodeJS.ErrnoException): TraceError {
    return unreachable(this.#socket, cause);
  }
}
