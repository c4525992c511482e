/** Turns `session-42` (or `42`) into the session's row. */
import { TraceError } from '../common/errors.ts';
import { parseExpression } from '../sessions/expression.ts';
import type { SessionRow, Store } from '../store/store.ts';

/** @throws TraceError `unknown-session` (exit 66), or a usage error for another notation. */
export function sessionArgument(store: Store, text: string): SessionRow {
  const expression = parseExpression(text);
  if (expression.kind !== 'session')
    throw new TraceError({
      code: 'one-session',
      message: `'${text}' is more than one session`,
      hint: 'name one, like session-42',
      exit: 'usage',
    });
  const { id } = expression;
  const session = store.session(id);
  if (session !== undefined) return session;
  const last = store.sessions().at(-1);
  throw new TraceError({
    code: 'unknown-session',
    message: `there is no session-${id}`,
    hint:
      last === undefined
        ? 'nothing has been recorded yet'
        : `the newest is session-${last.id}; \`trace sessions\` lists them`,
    exit: 'notFound',
  });
}
