/**
 * The control socket: HTTP over a Unix socket that only root and the socket's group can open.
 * Owns the routes, the reading of requests and the wording of errors on the wire.
 * Must not contain business rules: each route is one call.
 */
import { chmodSync, lstatSync, rmSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import express, { type NextFunction, type Request, type Response } from 'express';
import type { z } from 'zod';
import { TraceError } from '../common/errors.ts';
import { makeFolders } from '../common/make-folders.ts';
import {
  type CheckedBody,
  type ContentBody,
  keepRequest,
  type KeepRequestBody,
  type KeptBody,
  type PrunedBody,
  removeRequest,
} from './content-api.ts';
import { GIVEN_ROUTE } from './given-answers.ts';
import type { GivenStreamOptions } from './given-stream.ts';
import { createServer } from './http.ts';
import {
  imageRequest,
  labelRequest,
  markRequest,
  newSessionRequest,
  startRequest,
  stopRequest,
  watchRequest,
  type LabelBody,
  type MarkBody,
  type StartBody,
  type StatusBody,
  type StopBody,
  type WatchBody,
} from './api.ts';
import { checked, errorBody, knownError } from './wire.ts';

/** What the routes about kept content call. */
export interface ContentService {
  list(): Promise<ContentBody>;
  keep(request: KeepRequestBody): Promise<KeptBody>;
  remove(expression: string): Promise<PrunedBody>;
  prune(): Promise<PrunedBody>;
  check(): Promise<CheckedBody>;
}

/** How long a stopping daemon waits for answers under way, such as an image. */
const GRACE_MS = 2000;
/** How long an answer of the live feed may wait for its reader. */
const STUCK_MS = 10_000;
/** How long the head of a request may take to come. */
const HEAD_MS = 60_000;
/** How long a request may take to come; of one that lasts as long as a session, its first line. */
const ASKING_MS = 300_000;
const OPENING_MS = 60_000;

/** Far more than people and programs have at a time. */
const MOST_CONNECTIONS = 100;

/** What the routes call. */
export interface ControlService {
  status(): StatusBody;
  watch(most: number): WatchBody;
  start(request: z.infer<typeof startRequest>): Promise<StartBody>;
  stop(root: Buffer | null): Promise<StopBody>;
  mark(text: string): Promise<MarkBody>;
  newSession(client: string, root: Buffer | null): Promise<MarkBody>;
  label(client: string, label: string | null): LabelBody;
  image(request: z.infer<typeof imageRequest>, output: Response): Promise<void>;
  /** Settles when the session that is given has ended. */
  give(stream: Omit<GivenStreamOptions, 'given'>): Promise<void>;
  shutdown(): void;
  readonly content: ContentService;
}

export class ControlServer {
  readonly #path: string;
  readonly #ending: AbortSignal;
  readonly #openingMs: number;
  readonly #server: Server;

  /**
   * @param options.ending once it is aborted every request is refused
   * @param options.patience how long, in milliseconds, the head of a request may take, and the first
   *   line of a session that is given
   */
  constructor(options: {
    readonly socket: string;
    readonly ending: AbortSignal;
    readonly patience?: { readonly headMs: number; readonly openingMs: number };
  }) {
    const { headMs, openingMs } = options.patience ?? { headMs: HEAD_MS, openingMs: OPENING_MS };
    this.#path = options.socket;
    this.#ending = options.ending;
    this.#openingMs = openingMs;
    // Node would end every request after some minutes (see askInTime()); and without a limit to
    // that, it has none for heads either.
    this.#server = createServer({
      requestTimeout: 0,
      headersTimeout: headMs,
      connectionsCheckingInterval: Math.min(headMs, 30_000),
    });
  }

  /**
   * Refuses if another daemon answers there, and clears what a dead one left.
   * @throws TraceError `daemon-running`, `socket-place`
   */
  async claim(): Promise<void> {
    const found = this.#try(() => {
      makeFolders(dirname(this.#path), 0o750);
      return lstatSync(this.#path, { throwIfNoEntry: false });
    });
    if (found === undefined) return;
    if (!found.isSocket()) throw this.#placeError('something that is not a socket is there');
    if (await answers(this.#path))
      throw new TraceError({
        code: 'daemon-running',
        message: `another daemon already listens on ${this.#path}`,
        hint: "see `trace status`; `trace stop --daemon` ends it, as root if it is not this user's",
        exit: 'busy',
      });
    this.#try(() => rmSync(this.#path, { force: true }));
  }

  /** @throws TraceError `socket-place` */
  async start(service: ControlService): Promise<void> {
    const app = routes(service, this.#ending);
    this.#server.maxConnections = MOST_CONNECTIONS;
    this.#server.on('request', (request, response) => {
      if (!claimTurn(request, response)) return;
      askInTime(request, request.url === GIVEN_ROUTE ? this.#openingMs : ASKING_MS);
      app(request, response);
    });
    // The socket is bound within listen(): there is no moment at which others may open it.
    const umask = process.umask(0o117);
    const listening = new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause) => reject(this.#placeError(cause.message, cause)));
      this.#server.listen(this.#path, resolve);
    });
    process.umask(umask);
    await listening;
    this.#try(() => chmodSync(this.#path, 0o660));
  }

  /** Lets answers under way end, but not for ever. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.#server.closeAllConnections(), GRACE_MS);
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeIdleConnections();
    });
    clearTimeout(timer);
  }

  #try<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      throw this.#placeError((cause as Error).message, cause);
    }
  }

  #placeError(why: string, cause?: unknown): TraceError {
    return new TraceError({
      code: 'socket-place',
      message: `cannot listen on ${this.#path}: ${why}`,
      hint: 'name another place with --socket, or run it as root',
      exit: 'cannotCreate',
      cause,
    });
  }
}

/** Whoever does not let us in, or has a full backlog, is there all the same. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) =>
      resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT'),
    );
  });
}

const answering = new WeakSet<object>();

/**
 * One request at a time on a connection: whoever sends a thousand without reading an answer would
 * have them all kept here. False if this one came too early; then the connection is closed.
 */
function claimTurn({ socket }: IncomingMessage, response: ServerResponse): boolean {
  if (answering.has(socket)) {
    socket.destroy();
    return false;
  }
  answering.add(socket);
  response.once('close', () => answering.delete(socket));
  return true;
}

const asking = new WeakMap<IncomingMessage, NodeJS.Timeout>();

/** Cuts off whoever has not said all by then. */
function askInTime(request: IncomingMessage, withinMs: number): void {
  const timer = setTimeout(() => request.destroy(), withinMs).unref();
  asking.set(request, timer);
  request.once('end', () => clearTimeout(timer));
  request.once('close', () => clearTimeout(timer));
}

/** The request may last as long as a session, but not longer. */
async function give(
  service: ControlService,
  { request, response, ending }: Omit<Parameters<ControlService['give']>[0], 'asked'>,
): Promise<void> {
  try {
    const asked = (): void => clearTimeout(asking.get(request));
    await service.give({ request, response, ending, asked });
  } finally {
    if (!request.complete) askInTime(request, OPENING_MS);
  }
}

function routes(service: ControlService, ending: AbortSignal): express.Express {
  const app = express();
  app.disable('x-powered-by');
  app.use((_request, _response, next) => {
    if (ending.aborted)
      throw new TraceError({
        code: 'daemon-ending',
        message: 'the daemon is ending',
        hint: 'try again in a moment; `trace start` starts a new one',
        exit: 'unavailable',
      });
    next();
  });
  app.use(express.json({ limit: '256kb' }));
  app.get('/v1/status', (_, response) => void response.json(service.status()));
  app.get('/v1/watch', (request, response) => {
    // One who asks and does not read: the answer is all that he costs, and not for long.
    response.setTimeout(STUCK_MS, () => response.destroy());
    response.json(service.watch(checked(watchRequest, request.query).most));
  });
  app.post('/v1/start', async (request, response) => {
    response.json(await service.start(read(startRequest, request)));
  });
  app.post('/v1/stop', async (request, response) => {
    response.json(await service.stop(read(stopRequest, request).root));
  });
  app.post('/v1/mark', async (request, response) => {
    response.json(await service.mark(read(markRequest, request).text));
  });
  app.post('/v1/sessions', async (request, response) => {
    const { client, root } = read(newSessionRequest, request);
    response.json(await service.newSession(client, root));
  });
  app.post('/v1/clients/label', (request, response) => {
    const { client, label } = read(labelRequest, request);
    response.json(service.label(client, label));
  });
  app.post(GIVEN_ROUTE, (request, response) => give(service, { request, response, ending }));
  app.post('/v1/image', async (request, response) => {
    await service.image(read(imageRequest, request), response);
  });
  app.get('/v1/content', async (_, response) => {
    response.json(await service.content.list());
  });
  app.post('/v1/content/keep', async (request, response) => {
    response.json(await service.content.keep(read(keepRequest, request)));
  });
  app.post('/v1/content/remove', async (request, response) => {
    response.json(await service.content.remove(read(removeRequest, request).expression));
  });
  app.post('/v1/content/prune', async (_, response) => {
    response.json(await service.content.prune());
  });
  app.post('/v1/content/check', async (_, response) => {
    response.json(await service.content.check());
  });
  app.post('/v1/shutdown', (_, response) => {
    response.json({});
    service.shutdown();
  });
  app.use((request: Request) => {
    throw new TraceError({
      code: 'no-such-route',
      message: `the daemon has no ${request.method} ${request.path}`,
      hint: 'command line and daemon may be of different versions',
      exit: 'notFound',
    });
  });
  app.use(sendError);
  return app;
}

function read<T extends z.ZodType>(schema: T, request: Request): z.infer<T> {
  return checked(schema, request.body);
}

/** Express knows an error handler by its four parameters. */
function sendError(error: unknown, _: Request, response: Response, next: NextFunction): void {
  if (response.headersSent) {
    // The status line is out; a broken connection is the only way left to say "failed".
    response.destroy();
    next();
    return;
  }
  const known = knownError(error);
  response.status(known.exit === 'bug' ? 500 : 400).json(errorBody(known));
}
