/**
 * The terminal while the live view has it: the other screen, no cursor, keys one by one. Owns its
 * state and gives it back whatever happens, but for SIGKILL. Must not know what is shown.
 */
import { write, writeSync } from 'node:fs';
import { styleText } from 'node:util';
import type { Line, Style } from './render.ts';

/** Alternate screen, no cursor, no wrapping at the right edge. */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const REST_OF_LINE = '\x1b[K';
const REST_OF_SCREEN = '\x1b[J';

const CTRL_C = 0x03;
const CTRL_Z = 0x1a;
const ESCAPE = 0x1b;
const KEYS_THAT_LEAVE = new Set([CTRL_C, 'q'.charCodeAt(0), 'Q'.charCodeAt(0)]);
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;

/** A terminal that has taken nothing for so long will not take the last bytes either. */
const STUCK_MS = 1000;
const STDOUT = 1;

const COLOURS = {
  plain: null,
  bold: 'bold',
  dim: 'dim',
  warn: 'yellow',
  fail: 'red',
  curve: 'green',
} as const satisfies Record<Style, Parameters<typeof styleText>[0] | null>;

export interface ScreenOptions {
  readonly colours: boolean;
  /** The person wants to leave. */
  readonly onLeave: () => void;
  /** The size changed, or the terminal came back: draw again. */
  readonly onRedraw: () => void;
}

export class Screen {
  readonly #options: ScreenOptions;
  #listening = false;
  #entered = false;
  #next: Buffer | null = null;
  #writingSince: number | null = null;
  readonly #exit = (): void => this.leave();
  readonly #resize = (): void => this.#options.onRedraw();
  readonly #continued = (): void => {
    this.#take();
    this.#options.onRedraw();
  };
  readonly #keys = (data: Buffer): void => this.#onKeys(data);
  readonly #signals = SIGNALS.map((signal) => [signal, () => this.#dieOf(signal)] as const);

  constructor(options: ScreenOptions) {
    this.#options = options;
  }

  get columns(): number {
    return process.stdout.columns || 80;
  }

  get rows(): number {
    return process.stdout.rows || 24;
  }

  /** Takes the terminal; harmless while it has it. */
  enter(): void {
    if (this.#listening) return;
    this.#listening = true;
    process.on('exit', this.#exit);
    for (const [signal, handler] of this.#signals) process.on(signal, handler);
    process.on('SIGCONT', this.#continued);
    process.stdout.on('resize', this.#resize);
    if (process.stdin.isTTY) process.stdin.on('data', this.#keys);
    this.#take();
  }

  /** Gives the terminal back. Harmless when it was given back already. */
  leave(): void {
    this.#listening = false;
    process.off('exit', this.#exit);
    for (const [signal, handler] of this.#signals) process.off(signal, handler);
    process.off('SIGCONT', this.#continued);
    process.stdout.off('resize', this.#resize);
    process.stdin.off('data', this.#keys);
    this.#giveBack();
  }

  /** Shows these lines from the top. A terminal that is slow skips frames. */
  draw(lines: readonly Line[]): void {
    if (!this.#entered) return;
    const text = lines.map((line) => this.#painted(line) + REST_OF_LINE).join('\r\n');
    this.#next = Buffer.from(`${HOME}${text}${REST_OF_SCREEN}`);
    if (this.#writingSince === null) this.#write();
  }

  #painted({ text, style }: Line): string {
    const colour = COLOURS[style];
    if (colour === null || !this.#options.colours || text === '') return text;
    return styleText(colour, text, { validateStream: false });
  }

  /** One frame at a time and beside the event loop, which a full terminal must not stop. */
  #write(): void {
    const frame = this.#next;
    this.#next = null;
    if (frame === null || !this.#entered) return;
    this.#writingSince = performance.now();
    const put = (from: number): void =>
      write(STDOUT, frame, from, frame.length - from, null, (error, written) => {
        const done = error === null ? from + written : frame.length;
        if (done < frame.length) {
          put(done);
          return;
        }
        this.#writingSince = null;
        // The terminal has gone; SIGHUP, or whoever holds it, says so.
        if (error === null) this.#write();
      });
    put(0);
  }

  #take(): void {
    if (this.#entered) return;
    this.#entered = true;
    this.#say(ENTER);
    if (!process.stdin.isTTY) return;
    process.stdin.setRawMode(true);
    process.stdin.resume();
  }

  #giveBack(): void {
    if (!this.#entered) return;
    this.#entered = false;
    if (this.#writingSince !== null && performance.now() - this.#writingSince > STUCK_MS) return;
    this.#say(LEAVE);
    if (!process.stdin.isTTY) return;
    try {
      process.stdin.setRawMode(false);
    } catch {
      // The terminal has gone.
    }
    process.stdin.pause();
  }

  #say(text: string): void {
    try {
      writeSync(STDOUT, text);
    } catch {
      // As above: there is nobody to tell.
    }
  }

  #onKeys(data: Buffer): void {
    // An arrow or a function key: its bytes are no keys of their own.
    if (data[0] === ESCAPE) return;
    for (const key of data) {
      if (KEYS_THAT_LEAVE.has(key)) this.#options.onLeave();
      else if (key === CTRL_Z) this.#suspend();
    }
  }

  #suspend(): void {
    this.#giveBack();
    process.kill(process.pid, 'SIGTSTP');
  }

  /** The signal's own end, so that whoever sent it sees what it did. */
  #dieOf(signal: NodeJS.Signals): void {
    this.leave();
    process.kill(process.pid, signal);
  }
}
