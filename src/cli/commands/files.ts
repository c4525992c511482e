/** `trace files SESSION`: every object of a session, with what was done to it. */
import type { Command } from 'commander';
import type { Register } from '../commands.ts';
import { shownPath } from '../../common/bytes.ts';
import { TraceError } from '../../common/errors.ts';
import { OPERATIONS, operationBit, operationsOf, type Operation } from '../../common/words.ts';
import { fileShape } from '../shapes.ts';
import { sessionArgument } from '../session-argument.ts';

interface FilesOptions {
  readonly op?: string;
  readonly null?: boolean;
}

export const registerFiles: Register = (program, context) => {
  program
    .command('files <session>')
    .description('the objects that a session touched, and how')
    .option('--op <list>', `only with one of these operations (${OPERATIONS.join(',')})`)
    .option('-0, --null', 'paths only, each ended by a NUL byte')
    .action(async (name: string, options: FilesOptions, command: Command) => {
      const here = context(command);
      const { output } = here;
      const operations = options.op === undefined ? undefined : bitsOf(options.op);
      await here.withStore((store) => {
        const { id } = sessionArgument(store, name);
        const rows = store.files(id, operations === undefined ? {} : { operations });
        output.value({ session: `session-${id}`, files: rows.map(fileShape) });
        if (output.json) return;
        for (const { names, operations: bits } of rows)
          for (const path of names.map(shownPath))
            if (options.null === true) output.bytes(Buffer.concat([path, Buffer.from([0])]));
            else output.pathLine(`${operationsOf(bits).join(',')}\t`, path);
      });
    });
};

/** @throws TraceError for a word that is no operation */
export function bitsOf(list: string): number {
  let bits = 0;
  for (const word of list.split(',')) {
    if (!(OPERATIONS as readonly string[]).includes(word))
      throw new TraceError({
        code: 'bad-operation',
        message: `'${word}' is not an operation`,
        hint: `operations: ${OPERATIONS.join(', ')}`,
        exit: 'usage',
      });
    bits |= operationBit(word as Operation);
  }
  return bits;
}
