/** `trace files SESSION`: every object of a session, with what was done to it. */
import { Option, type Command } from 'commander';
import type { Register } from '../commands.ts';
import { shownPath } from '../../common/bytes.ts';
import { OPERATIONS, operationsOf } from '../../common/words.ts';
import type { Store } from '../../store/store.ts';
import { bitsOf } from '../operations.ts';
import type { Output } from '../output.ts';
import { fileShape, missingShape } from '../shapes.ts';
import { sessionArgument } from '../session-argument.ts';

interface FilesOptions {
  readonly ops?: string;
  readonly null?: boolean;
  readonly missing?: boolean;
}

export const registerFiles: Register = (program, context) => {
  program
    .command('files <session>')
    .description('the objects that a session touched, and how')
    .option('--op, --ops <list>', `only with one of these operations (${OPERATIONS.join(',')})`)
    .option('-0, --null', 'paths only, each ended by a NUL byte')
    .addOption(
      new Option(
        '--missing',
        'names that were looked for and not there (tiers exact+names, import), or soon gone (local)',
      ).conflicts('ops'),
    )
    .action(async (name: string, options: FilesOptions, command: Command) => {
      const here = context(command);
      const { output } = here;
      const operations = options.ops === undefined ? undefined : bitsOf(options.ops);
      await here.withStore((store) => {
        const { id } = sessionArgument(store, name);
        if (options.missing === true) {
          showMissing(store, id, { output, nul: options.null === true });
          return;
        }
        const rows = store.files(id, operations === undefined ? {} : { operations });
        if (output.json) {
          const handles = store.handles(id);
          const files = rows.map((row) => fileShape(row, handles.get(row.fileId)));
          output.value({ session: `session-${id}`, files });
          return;
        }
        for (const { names, operations: bits } of rows)
          for (const path of names.map(shownPath))
            if (options.null === true) output.bytes(Buffer.concat([path, Buffer.from([0])]));
            else output.pathLine(`${operationsOf(bits).join(',')}\t`, path);
      });
    });
};

function showMissing(
  store: Store,
  id: number,
  { output, nul }: { readonly output: Output; readonly nul: boolean },
): void {
  const rows = store.missing(id);
  const { dropped } = store.missingTotal(id);
  output.value({ session: `session-${id}`, missing: rows.map(missingShape), dropped });
  if (output.json) return;
  for (const { path, name, count } of rows) {
    const shown = path ?? Buffer.concat([Buffer.from('?/'), name]);
    if (nul) output.bytes(Buffer.concat([shown, Buffer.from([0])]));
    else output.pathLine(`${count}\t`, shown);
  }
  if (dropped > 0) output.warn(`${dropped} lookups more were not kept`);
}
