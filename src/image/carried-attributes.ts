/**
 * Puts the side file with the entries' extended attributes into the image, and what sets them at
 * boot. Owns who sets them. Must not know the file's format.
 */
import type { AttributeReader, AttributeRow } from './attributes.ts';
import type { InitKind } from './choices.ts';
import type { Closure } from './closure.ts';
import type { CarriedAttributes, Problem } from './plan-types.ts';
import { addProgram, findProgram } from './programs.ts';
import { addAttributes, ATTRIBUTES, inArchiveOrder } from './records.ts';
import { type Resolver, toBytes } from './resolve.ts';

interface Carrying {
  readonly reader: AttributeReader;
  readonly resolver: Resolver;
  readonly closure: Closure;
}

/**
 * For a closed set, which is closed again afterwards: adds the program that sets attributes at
 * boot. False if there is none, or nothing would run it.
 * @param options.expected entries are still to come that may have attributes
 */
export function addRestorer(
  options: Carrying & { readonly init: InitKind; readonly expected: boolean },
): boolean {
  const { init, expected, resolver, closure } = options;
  if (init === 'own' || !(expected || rowsOf(options).length > 0)) return false;
  const program = findProgram('setfattr', resolver);
  // busybox's setfattr has no --restore.
  if (program === null || /(?:^|\/)busybox[^/]*$/.test(program.path)) return false;
  addProgram(program, closure);
  closure.close();
  return true;
}

/** Null where no entry has attributes. */
export function carryAttributes(
  options: Carrying & { readonly restored: boolean; readonly problems: Problem[] },
): CarriedAttributes | null {
  const { restored, resolver, closure, problems } = options;
  const all = rowsOf(options);
  if (all.length === 0) return null;
  addAttributes(all, { closure, resolver, problems });
  closure.close();
  return {
    count: all.length,
    entries: new Set(all.map(({ path }) => path)).size,
    file: toBytes(ATTRIBUTES),
    restored,
  };
}

function rowsOf({ reader, closure }: Carrying): AttributeRow[] {
  return reader.carried(inArchiveOrder(closure.drafts.values()));
}
