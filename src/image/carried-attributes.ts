/**
 * Puts the side file with the entries' extended attributes into the image, and what sets them at
 * boot. Owns who sets them. Must not know the file's format.
 */
import type { AttributeReader } from './attributes.ts';
import type { InitKind } from './choices.ts';
import type { Closure } from './closure.ts';
import type { CarriedAttributes, Problem } from './plan-types.ts';
import { addProgram, findProgram } from './programs.ts';
import { addAttributes, ATTRIBUTES, inArchiveOrder } from './records.ts';
import { type Resolver, toBytes } from './resolve.ts';

export interface CarryOptions {
  readonly init: InitKind;
  readonly reader: AttributeReader;
  readonly resolver: Resolver;
  readonly closure: Closure;
  readonly problems: Problem[];
}

/** For a closed set; it is closed again afterwards. Null where no entry has attributes. */
export function carryAttributes(options: CarryOptions): CarriedAttributes | null {
  const { init, reader, resolver, closure, problems } = options;
  const rows = () => reader.carried(inArchiveOrder(closure.drafts.values()));
  if (rows().length === 0) return null;
  const program = init === 'own' ? null : findProgram('setfattr', resolver);
  // busybox's setfattr has no --restore.
  const restorer = program !== null && !/(?:^|\/)busybox[^/]*$/.test(program.path) ? program : null;
  if (restorer !== null) {
    addProgram(restorer, closure);
    closure.close();
  }
  const all = rows();
  addAttributes(all, { closure, resolver, problems });
  closure.close();
  return {
    count: all.length,
    entries: new Set(all.map(({ path }) => path)).size,
    file: toBytes(ATTRIBUTES),
    restored: restorer !== null,
  };
}
