/**
 * What native/error.h throws, as a type. Owns nothing; each face decides what an errno means.
 */

/** A failed system call inside the addon. */
export interface SystemError extends Error {
  /** Positive errno number; `os.constants.errno` has the names. */
  readonly errno: number;
  readonly syscall: string;
  /** What it was done to, as bytes. */
  readonly subject?: Buffer;
}

export function isSystemError(error: unknown): error is SystemError {
  return (
    error instanceof Error &&
    typeof (error as Partial<SystemError>).errno === 'number' &&
    typeof (error as Partial<SystemError>).syscall === 'string'
  );
}
