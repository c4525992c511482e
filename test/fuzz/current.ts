/**
 * The file by which a fuzzer's process says at which input it is, for whoever finds that process hung or
 * dead. Owns its form: a line of fixed length with two numbers, then the input.
 */
import { existsSync, readFileSync, writeSync } from 'node:fs';

export interface Current {
  readonly turn: number;
  readonly input: Buffer;
}

const HEAD = 32;

export function writeCurrent(fd: number, { turn, input }: Current): void {
  const head = Buffer.from(`${turn} ${input.length}`.padEnd(HEAD));
  writeSync(fd, Buffer.concat([head, input]), 0, HEAD + input.length, 0);
}

/** Turn -1 while there is none. */
export function readCurrent(file: string): Current {
  const bytes = existsSync(file) ? readFileSync(file) : Buffer.alloc(0);
  if (bytes.length < HEAD) return { turn: -1, input: Buffer.alloc(0) };
  const [turn, length] = bytes.toString('latin1', 0, HEAD).split(' ').map(Number);
  return { turn: turn ?? -1, input: bytes.subarray(HEAD, HEAD + (length ?? 0)) };
}
