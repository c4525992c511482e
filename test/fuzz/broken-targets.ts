/** Fuzzers of code that is broken on purpose, for the test of the fuzzers themselves. */
import { TraceError } from '../../src/common/errors.ts';
import type { Target } from './target.ts';

/** Every input has one at some place, with other bytes around it. */
const MARK = 'broken';

function target(name: string, harm: () => void): Target {
  return {
    name,
    reads: 'nothing',
    make: (random) => {
      const mark = random.once(8) ? MARK : 'sound!';
      const around = [random.bytes(20), Buffer.from(mark), random.bytes(200)];
      return Buffer.concat(around);
    },
    run: (input) => {
      if (input.includes(MARK)) harm();
    },
  };
}

export const TARGETS: readonly Target[] = [
  target('throws', () => {
    throw new TypeError('of the code, not of the input');
  }),
  target('refuses', () => {
    throw new TraceError({ code: 'bad-input', message: 'it is broken', exit: 'data' });
  }),
  target('says-bug', () => {
    throw new TraceError({ code: 'bug', message: 'a bug', exit: 'bug' });
  }),
  target('hangs', () => {
    for (;;);
  }),
  target('dies', () => process.abort()),
  target('is-slow', () => {
    for (const from = process.cpuUsage(); process.cpuUsage(from).user < 40_000;);
  }),
];
