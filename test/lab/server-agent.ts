/**
 * The outside end of the server's agent: orders over the virtio-serial port's Unix socket.
 * Owns the connection and who waits for which answer. Knows nothing of NFS.
 */
import { connect, type Socket } from 'node:net';

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as bytes. */
  readonly output: Buffer;
}

interface Reply {
  readonly id: number;
  readonly error?: string;
  readonly code?: number;
  readonly timedOut?: boolean;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly content?: string;
}

interface Waiter {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

export class ServerAgent {
  readonly #path: string;
  readonly #fail: (what: string) => Error;
  #socket: Socket | undefined;
  #text = '';
  #last = 0;
  readonly #waiting = new Map<number, Waiter>();

  /** `fail` makes the error for whatever goes wrong, with the machine's console in it. */
  constructor(socketPath: string, fail: (what: string) => Error) {
    this.#path = socketPath;
    this.#fail = fail;
  }

  async start(): Promise<void> {
    const socket = connect(this.#path);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => this.#drop('the agent is gone'));
    socket.on('data', (chunk: Buffer) => this.#hear(chunk.toString('latin1')));
    this.#socket = socket;
  }

  stop(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #hear(text: string): void {
    this.#text += text;
    const lines = this.#text.split('\n');
    this.#text = lines.pop() ?? '';
    for (const line of lines) {
      const reply = JSON.parse(line) as Reply;
      this.#waiting.get(reply.id)?.resolve(reply);
      this.#waiting.delete(reply.id);
    }
  }

  #drop(what: string): void {
    for (const { reject } of this.#waiting.values()) reject(this.#fail(what));
    this.#waiting.clear();
  }

  async #order(order: Readonly<Record<string, unknown>>, timeoutMs: number): Promise<Reply> {
    const socket = this.#socket;
    if (socket === undefined) throw this.#fail('no agent');
    const id = ++this.#last;
    let timer: NodeJS.Timeout | undefined;
    const reply = await new Promise<Reply>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(this.#fail(`no answer in ${timeoutMs / 1000} s to ${JSON.stringify(order)}`));
      }, timeoutMs);
      socket.write(`${JSON.stringify({ id, ...order })}\n`);
    }).finally(() => clearTimeout(timer));
    if (reply.error !== undefined) throw this.#fail(`${JSON.stringify(order)}: ${reply.error}`);
    return reply;
  }

  /** Runs a shell command; a timeout kills it and its children, and throws. */
  async run(shell: string, timeoutMs: number, input?: Buffer): Promise<RunResult> {
    const reply = await this.#order(
      {
        run: shell,
        timeoutMs,
        ...(input === undefined ? {} : { input: input.toString('base64') }),
      },
      timeoutMs + 10_000,
    );
    const output = Buffer.from(reply.stdout ?? '', 'base64');
    const result = {
      code: reply.code ?? -1,
      stdout: output.toString('utf8'),
      stderr: Buffer.from(reply.stderr ?? '', 'base64').toString('utf8'),
      output,
    };
    if (reply.timedOut === true) {
      throw this.#fail(
        `"${shell}" took longer than ${timeoutMs / 1000} s\n${result.stdout}${result.stderr}`,
      );
    }
    return result;
  }

  async readFile(file: string): Promise<Buffer> {
    return Buffer.from((await this.#order({ readFile: file }, 60_000)).content ?? '', 'base64');
  }

  async writeFile(file: string, content: Buffer): Promise<void> {
    await this.#order({ writeFile: file, content: content.toString('base64') }, 60_000);
  }
}
