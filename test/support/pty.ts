/**
 * A command on a terminal of its own, and what its person sees. Owns pty.py's process and the
 * reading of the few sequences that our own screens use.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

const PATIENCE_MS = 30_000;
const POLL_MS = 20;

export interface TerminalEnd {
  /** Exit status; negative for a signal. */
  readonly status: number;
  /** Are the terminal's settings what they were before? */
  readonly same: boolean;
}

export class Pty {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #ended: Promise<TerminalEnd>;
  #output = '';
  #lastFrame = '';

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child;
    this.#ended = this.#read();
  }

  static start(
    command: readonly [string, ...string[]],
    options: { readonly columns: number; readonly rows: number; readonly env: NodeJS.ProcessEnv },
  ): Pty {
    const { columns, rows, env } = options;
    const script = join(import.meta.dirname, 'pty.py');
    // Debian's own, which is there wherever the addon was built.
    const args = ['/usr/bin/python3', script, String(columns), String(rows), ...command];
    return new Pty(
      // It must end with this process, however that ends.
      spawn('setpriv', ['--pdeathsig', 'KILL', ...args], {
        env,
        stdio: ['pipe', 'pipe', 'inherit'],
      }),
    );
  }

  /** Every byte so far. */
  get output(): string {
    return this.#output;
  }

  /** The lines of the newest whole frame, without colours. */
  get lines(): string[] {
    return this.#lastFrame.split('\r\n').map(plain);
  }

  get screen(): string {
    return this.lines.join('\n');
  }

  press(keys: string): void {
    this.#tell({ keys: Buffer.from(keys).toString('base64') });
  }

  resize(columns: number, rows: number): void {
    this.#tell({ size: [columns, rows] });
  }

  signal(number: number): void {
    this.#tell({ signal: number });
  }

  /** From now on nothing takes what the command writes. */
  hold(): void {
    this.#tell({ hold: true });
  }

  end(): Promise<TerminalEnd> {
    return this.#ended;
  }

  /** Kills what still runs. */
  close(): void {
    this.#child.stdin.end();
  }

  async shows(what: RegExp): Promise<void> {
    for (const end = Date.now() + PATIENCE_MS; !what.test(this.screen);) {
      assert.ok(Date.now() < end, `${String(what)} is not on\n${this.screen}\n${this.#output}`);
      await delay(POLL_MS);
    }
  }

  #tell(command: object): void {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
  }

  async #read(): Promise<TerminalEnd> {
    let end: TerminalEnd | null = null;
    for await (const line of createInterface(this.#child.stdout)) {
      const told = JSON.parse(line) as { out?: string; end?: number; same?: boolean };
      if (told.out !== undefined) this.#take(Buffer.from(told.out, 'base64').toString('utf8'));
      if (told.end !== undefined) end = { status: told.end, same: told.same === true };
    }
    assert.ok(end !== null, 'the terminal ended early');
    return end;
  }

  #take(text: string): void {
    this.#output += text;
    const to = this.#output.lastIndexOf('\u001b[J');
    const from = this.#output.lastIndexOf('\u001b[H', to);
    if (from >= 0 && to > from) this.#lastFrame = this.#output.slice(from + 3, to);
  }
}

function plain(line: string): string {
  return line.replaceAll(/\u001b\[[0-9;]*[A-Za-z]/g, '').trimEnd();
}
