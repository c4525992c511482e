/** Turns the name of a root into its row: what has been recorded, whether or not it is still there. */
import { TraceError } from '../common/errors.ts';
import type { RootRow, Store } from '../store/store.ts';
import { pathOfArgument } from './bytes-of-argument.ts';
import { rootArgument } from './root-argument.ts';

/** @throws TraceError `unknown-root` (exit 66) */
export function recordedRoot(store: Store, text: string): RootRow {
  const wanted = [rootArgument(text), pathOfArgument(text)];
  const root = store.roots().find(({ path }) => wanted.some((one) => one.equals(path)));
  if (root !== undefined) return root;
  throw new TraceError({
    code: 'unknown-root',
    message: `${text} has never been recorded`,
    hint: `recorded: ${
      store
        .roots()
        .map(({ path }) => path.toString())
        .join(', ') || 'nothing'
    }`,
    exit: 'notFound',
  });
}
