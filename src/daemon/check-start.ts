/**
 * What is wrong with a start request, said before a daemon is started for it: a misspelt option
 * must leave nothing behind. The recorder checks again, and more.
 */
import { statSync } from 'node:fs';
import { TraceError } from '../common/errors.ts';
import { ClientFilter } from '../recording/client-filter.ts';

/** @throws TraceError `root-not-found`, `root-not-a-directory` (exit 66), `bad-client` (exit 64) */
export function checkStart(request: {
  readonly root: Buffer;
  readonly clients: readonly string[];
}): void {
  const { root, clients } = request;
  new ClientFilter(clients);
  const found = statSync(root, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) return;
  const [code, why, hint] =
    found === undefined
      ? (['root-not-found', 'there is no such directory', 'check the path'] as const)
      : (['root-not-a-directory', 'it is not a directory', 'name the directory itself'] as const);
  throw new TraceError({
    code,
    message: `cannot record ${root.toString()}: ${why}`,
    hint,
    exit: 'notFound',
  });
}
