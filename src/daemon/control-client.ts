/**
 * Talks to a running daemon over its Unix socket. Owns the HTTP of the asking side.
 */
import { request, type IncomingMessage } from 'node:http';
import { EXIT, TraceError, type ExitName } from '../common/errors.ts';
import type { ErrorBody, MarkBody, StartBody, StatusBody, StopBody } from './api.ts';

export class ControlClient {
  readonly #socket: string;

  constructor(options: { readonly socket: string }) {
    this.#socket = options.socket;
  }

  status(): Promise<StatusBody> {
    return this.#json('GET', '/v1/status');
  }

  start(body: {
    readonly root: Buffer;
    readonly label: string | null;
    readonly clients: readonly string[];
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

  /** Ends the daemon after a last commit. */
  shutdown(): Promise<Record<string, never>> {
    return this.#json('POST', '/v1/shutdown', {});
  }

  /** The image of an expression as a stream, built by the daemon. */
  async image(body: {
    readonly expression: string;
    readonly acceptLoss: boolean;
  }): Promise<IncomingMessage> {
    return this.#send('POST', '/v1/image', body);
  }

  async #json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.#send(method, path, body);
    return JSON.parse((await collect(response)).toString()) as T;
  }

  /** Resolves with a response of status 200; any other becomes the TraceError that it carries. */
  async #send(method: string, path: string, body?: unknown): Promise<IncomingMessage> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = request({ socketPath: this.#socket, method, path }, resolve);
      sent.on('error', (error: NodeJS.ErrnoException) => reject(this.#unreachable(error)));
      if (body === undefined) sent.end();
      else sent.setHeader('Content-Type', 'application/json').end(JSON.stringify(body));
    });
    if (response.statusCode === 200) return response;
    throw errorOf((await collect(response)).toString());
  }

  #unreachable(cause: NodeJS.ErrnoException): TraceError {
    if (cause.code === 'EACCES')
      return new TraceError({
        code: 'socket-permission',
        message: `no permission for the daemon's socket ${this.#socket}`,
        hint: 'run it as root',
        exit: 'permission',
        cause,
      });
    if (cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED')
      return new TraceError({
        code: 'daemon-not-running',
        message: `no daemon listens on ${this.#socket}`,
        hint: 'start one with `trace start --root DIR` or `trace daemon`',
        exit: 'unavailable',
        cause,
      });
    return new TraceError({
      code: 'daemon-connection',
      message: `the connection to the daemon broke: ${cause.message}`,
      hint: 'see its log, and `trace status`',
      exit: 'io',
      cause,
    });
  }
}

async function collect(response: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

function errorOf(text: string): TraceError {
  const { error } = JSON.parse(text) as ErrorBody;
  const exit: ExitName = error.exit in EXIT ? (error.exit as ExitName) : 'bug';
  return new TraceError({
    code: error.code,
    message: error.message,
    exit,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}
