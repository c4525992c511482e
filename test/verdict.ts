/**
 * Turns node:test's events into a verdict: what passed, what failed, what was skipped and whether
 * it had to be. Owns the rules; pure, so that they are tested (verdict.test.ts).
 *
 * A skip is allowed only with a reason that test/capabilities.ts gives on this very machine. A
 * todo, an `only`, and a file without a test are failures: each hides tests that do not run.
 */
import { inspect } from 'node:util';
import { CAPABILITIES, skipReason, type Capability, type Lack } from './capabilities.ts';

/** What of node:test's event data is looked at. */
export interface TestEventData {
  readonly name?: string | undefined;
  readonly file?: string | undefined;
  readonly line?: number | undefined;
  readonly skip?: string | boolean | undefined;
  readonly todo?: string | boolean | undefined;
  readonly message?: string | undefined;
  readonly details?: {
    readonly type?: string | undefined;
    readonly error?: unknown;
  };
}

export interface Skip {
  readonly file: string;
  readonly name: string;
  readonly reason: string;
}

export interface Failure {
  readonly file: string;
  readonly name: string;
  readonly text: string;
}

export class Verdict {
  readonly #allowed: ReadonlySet<string>;
  passed = 0;
  readonly skips: Skip[] = [];
  readonly failures: Failure[] = [];

  /** `lacks`: the result of probing this machine. */
  constructor(lacks: Readonly<Record<Capability, Lack>>) {
    this.#allowed = new Set(
      CAPABILITIES.flatMap((name) => {
        const lack = lacks[name];
        return lack === null ? [] : [skipReason(name, lack)];
      }),
    );
  }

  get ok(): boolean {
    return this.failures.length === 0 && this.passed > 0;
  }

  /** Takes one event; gives the failure that it meant, if any. */
  take(type: string, data: TestEventData): Failure | null {
    if (type === 'test:fail') return this.#fails(data);
    if (type === 'test:pass') return this.#passes(data);
    if (type === 'test:diagnostic' && data.message?.includes('--test-only')) {
      return this.#failure(data, '`only` is set: it would hide the other tests');
    }
    return null;
  }

  #passes(data: TestEventData): Failure | null {
    if (data.todo !== undefined) return this.#failure(data, 'a todo is not a test');
    if (data.name === data.file) return this.#failure(data, 'the file holds no test');
    if (data.skip !== undefined) return this.#skip(data);
    if (data.details?.type !== 'suite') this.passed++;
    return null;
  }

  #skip(data: TestEventData): Failure | null {
    const reason = typeof data.skip === 'string' ? data.skip : 'no reason given';
    if (!this.#allowed.has(reason)) {
      return this.#failure(data, `skipped, and this machine lacks nothing for it: ${reason}`);
    }
    this.skips.push({ file: data.file ?? '', name: data.name ?? '', reason });
    return null;
  }

  #fails(data: TestEventData): Failure | null {
    const error = data.details?.error as { failureType?: string; cause?: unknown } | undefined;
    // The subtests have been told already.
    if (error?.failureType === 'subtestsFailed') return null;
    return this.#failure(data, inspect(error?.cause ?? error));
  }

  #failure(data: TestEventData, text: string): Failure {
    const where = data.line === undefined ? '' : `:${data.line}`;
    const failure = { file: `${data.file ?? ''}${where}`, name: data.name ?? '', text };
    this.failures.push(failure);
    return failure;
  }
}
