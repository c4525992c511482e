/**
 * What every request over the control socket has in common: checking what came, and how an error
 * travels. Owns both.
 */
import type { z } from 'zod';
import { TraceError } from '../common/errors.ts';
import type { ErrorBody } from './api.ts';

/** @throws TraceError `bad-request` */
export function checked<T extends z.ZodType>(schema: T, value: unknown): z.infer<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new TraceError({
    code: 'bad-request',
    message: `${issue?.path.join('.') || 'request'}: ${issue?.message ?? 'is not valid'}`,
    exit: 'usage',
  });
}

export function knownError(error: unknown): TraceError {
  if (error instanceof TraceError) return error;
  if (isClientsFault(error))
    return new TraceError({ code: 'bad-request', message: error.message, exit: 'usage' });
  return new TraceError({
    code: 'internal',
    message: error instanceof Error ? error.message : String(error),
    hint: 'this is a bug; the daemon goes on',
    exit: 'bug',
    cause: error,
  });
}

export function errorBody({ code, message, exit, hint }: TraceError): ErrorBody {
  return { error: { code, message, exit, ...(hint === undefined ? {} : { hint }) } };
}

/** How express says that a body is no JSON, too long, or broke off. */
function isClientsFault(error: unknown): error is Error {
  const status = error instanceof Error && 'status' in error ? error.status : undefined;
  return typeof status === 'number' && status >= 400 && status < 500;
}
