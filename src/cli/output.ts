/**
 * The one place that writes to a person: results on stdout, talk on stderr, errors with a hint.
 * Owns escaping (only on a terminal), colours and JSON.
 */
import { writeSync } from 'node:fs';
import { styleText } from 'node:util';
import { TraceError } from '../common/errors.ts';

/**
 * Writes all of `data`, also to a pipe that takes it in pieces. A reader that has closed its end
 * (`| head`) has what it wanted: that ends the program, and is no failure.
 */
export function writeAll(fd: number, data: Buffer): void {
  for (let done = 0; done < data.length;) {
    try {
      done += writeSync(fd, data, done);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      else if (code === 'EPIPE') process.exit();
      else throw notWritten(fd, error);
    }
  }
}

function notWritten(fd: number, cause: unknown): TraceError {
  const { code } = cause as NodeJS.ErrnoException;
  const why = code === 'ENOSPC' ? 'no space is left there' : (cause as Error).message;
  return new TraceError({
    code: 'output-failed',
    message: `cannot write to standard ${fd === 1 ? 'output' : 'error'}: ${why}`,
    hint: 'what came out is not the whole answer; ask again, and write it elsewhere',
    exit: 'io',
    cause,
  });
}

export class Output {
  readonly json: boolean;

  constructor(options: { readonly json: boolean }) {
    this.json = options.json;
  }

  /** A result as text; in JSON mode nothing. */
  line(text = ''): void {
    if (!this.json) writeAll(1, Buffer.from(`${text}\n`));
  }

  /** A result as JSON; in text mode nothing. */
  value(value: unknown): void {
    if (this.json) writeAll(1, Buffer.from(`${JSON.stringify(value, null, 2)}\n`));
  }

  /** Bytes as they are. */
  bytes(data: Buffer): void {
    writeAll(1, data);
  }

  /** Are results read by a person? */
  get isTerminal(): boolean {
    return process.stdout.isTTY;
  }

  /** A line that ends with a path: escaped on a terminal, its own bytes elsewhere. */
  pathLine(before: string, path: Buffer): void {
    const shown = this.isTerminal ? Buffer.from(escapeName(path)) : path;
    writeAll(1, Buffer.concat([Buffer.from(before), shown, Buffer.from('\n')]));
  }

  /** Talk. */
  say(text: string): void {
    writeAll(2, Buffer.from(`${text}\n`));
  }

  warn(text: string, hint?: string): void {
    this.say(`${paint('yellow', 'warning:')} ${oneLine(text)}`);
    this.#hint(hint);
  }

  fail(error: TraceError): void {
    if (this.json) {
      const { code, message, hint = null, exitCode } = error;
      writeAll(
        1,
        Buffer.from(`${JSON.stringify({ error: { code, message, hint, exit: exitCode } })}\n`),
      );
    }
    const { message } = error;
    this.say(`${paint('red', 'error:')} ${error.exit === 'bug' ? message : oneLine(message)}`);
    this.#hint(error.hint);
  }

  /** A name for a person: control bytes and what is not UTF-8 escaped on a terminal only. */
  name(path: Buffer): string {
    return this.isTerminal ? escapeName(path) : path.toString('utf8');
  }

  #hint(text: string | undefined): void {
    if (text !== undefined) this.say(`${paint('cyan', 'hint:')} ${oneLine(text)}`);
  }
}

/** Talk quotes names of files, which may hold anything. */
function oneLine(text: string): string {
  return escapeName(Buffer.from(text));
}

/** `\n` and other control bytes, and all but ASCII in a name that is not UTF-8, as \xHH. */
export function escapeName(path: Buffer): string {
  const text = path.toString('utf8');
  const safe = Buffer.from(text, 'utf8').equals(path) ? text : path.toString('latin1');
  const wide = safe === text;
  return Array.from(safe, (character) => {
    const code = character.codePointAt(0) ?? 0;
    const control = code < 0x20 || (code >= 0x7f && code < 0xa0);
    return control || (!wide && code > 0x7f)
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : character;
  }).join('');
}

function paint(colour: 'red' | 'yellow' | 'cyan', text: string): string {
  const plain = process.env['NO_COLOR'] !== undefined || !process.stderr.isTTY;
  return plain ? text : styleText(colour, text, { stream: process.stderr });
}

/** The same for results, on stdout. */
export function paintResult(colour: Parameters<typeof styleText>[0], text: string): string {
  const plain = process.env['NO_COLOR'] !== undefined || !process.stdout.isTTY;
  return plain ? text : styleText(colour, text, { stream: process.stdout });
}

/** `1.2 MB`, decimal units. */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? String(value) : value.toFixed(value < 10 ? 1 : 0)} ${units[unit] ?? ''}`;
}

/** RFC 3339 in UTC from wall-clock microseconds. */
export function time(us: number): string {
  return new Date(us / 1000).toISOString();
}

/** Columns aligned by their widest cell. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  return rows.map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}
