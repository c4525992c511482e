/**
 * The outside end of a victim's agent: orders over its second serial port's Unix socket, one at a
 * time. Owns the connection. Knows nothing of NFS or images.
 */
import { connect, type Socket } from 'node:net';

export interface OrderResult {
  readonly code: number;
  /** Standard output and standard error together. */
  readonly output: string;
}

export class SerialAgent {
  readonly #path: string;
  readonly #fail: (what: string) => Error;
  #socket: Socket | undefined;
  #text = '';
  #last = 0;
  #wake: () => void = () => undefined;

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
    socket.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString('latin1');
      this.#wake();
    });
    this.#socket = socket;
  }

  stop(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  /** Waits until the guest's side listens, which it says once a boot. */
  async waitUntilReady(timeoutMs: number): Promise<void> {
    await this.#answer(/^ready\r?\n/m, timeoutMs, 'that its agent is ready');
  }

  /** Runs a command with bash in the guest. A timeout throws and leaves the command running. */
  async run(shell: string, timeoutMs: number): Promise<OrderResult> {
    const id = this.send(shell);
    const pattern = new RegExp(`^${id} (\\d+) ([A-Za-z0-9+/=]*)\\r?\\n`, 'm');
    const [, code, output] = await this.#answer(pattern, timeoutMs, `the answer to "${shell}"`);
    return { code: Number(code), output: Buffer.from(output ?? '', 'base64').toString('utf8') };
  }

  /** Sends an order without waiting for an answer, which {@link run} ignores; gives its number. */
  send(shell: string): number {
    if (this.#socket === undefined) throw this.#fail('no agent');
    const id = ++this.#last;
    this.#socket.write(`${id} ${Buffer.from(shell).toString('base64')}\n`);
    return id;
  }

  #answer(pattern: RegExp, timeoutMs: number, what: string): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#wake = () => undefined;
        reject(this.#fail(`waited ${timeoutMs / 1000} s for ${what}; so far: ${this.#text}`));
      }, timeoutMs);
      this.#wake = () => {
        const found = pattern.exec(this.#text);
        if (found === null) return;
        clearTimeout(timer);
        this.#wake = () => undefined;
        this.#text = this.#text.slice(found.index + found[0].length);
        resolve(found);
      };
      this.#wake();
    });
  }
}
