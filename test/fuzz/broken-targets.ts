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

/** Broken in one state, which takes as many right words one after the other: by chance once in 8^9 times. */
const WORDS = ['open', 'read', 'seek', 'lock', 'write', 'sync', 'unlock', 'close'] as const;
const WAY = ['open', 'lock', 'write', 'write', 'sync', 'seek', 'read', 'unlock', 'close'] as const;
const isDeep: Target = {
  name: 'is-deep',
  reads: 'words',
  make: (random) => Buffer.from(Array.from(WAY, () => random.pick(WORDS)).join(' ')),
  run: (input) => {
    let at = 0;
    for (const word of input.toString().split(' '))
      if (word === WAY[at]) at++;
      else return;
    if (at === WAY.length) throw new RangeError('the state that is broken');
  },
};

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
  isDeep,
  target('is-slow', () => {
    for (const from = process.cpuUsage(); process.cpuUsage(from).user < 40_000;);
  }),
];
