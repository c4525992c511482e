/**
 * The one error type: what was being done, to what, why it failed, what a person can do about it.
 * Owns the exit codes (sysexits.h where it has one).
 */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 64,
  data: 65,
  notFound: 66,
  unavailable: 69,
  bug: 70,
  cannotCreate: 73,
  io: 74,
  busy: 75,
  permission: 77,
  config: 78,
} as const;

export type ExitName = keyof typeof EXIT;

export interface TraceErrorOptions {
  /** Stable machine-readable code, kebab-case, e.g. `unknown-session`. */
  readonly code: string;
  /** One sentence without a full stop: what failed, on what. */
  readonly message: string;
  /** What the person can do about it, one sentence. */
  readonly hint?: string;
  readonly exit: ExitName;
  readonly cause?: unknown;
}

export class TraceError extends Error {
  override readonly name = 'TraceError';
  readonly code: string;
  readonly hint: string | undefined;
  readonly exit: ExitName;

  constructor(options: TraceErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.hint = options.hint;
    this.exit = options.exit;
  }

  get exitCode(): number {
    return EXIT[this.exit];
  }
}
