/** What a fuzzer of TypeScript is. */
import type { Random } from './random.ts';

export interface Target {
  readonly name: string;
  /** What it reads, for a person. */
  readonly reads: string;
  /** An input: the same for the same choices, on every machine. */
  readonly make: (random: Random) => Buffer;
  /**
   * Has the code under test read an input, in a process whose working folder is empty and its own.
   * A `TraceError` is an answer; anything else that it throws is found.
   */
  readonly run: (input: Buffer) => void | Promise<void>;
}
