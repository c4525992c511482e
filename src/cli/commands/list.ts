/** `trace list SESSION`: the idempotent file list, from the database alone. */
import type { Command } from 'commander';
import { compareBytes, jsonPath, shownPath } from '../../common/bytes.ts';
import { formatList } from '../../image/list.ts';
import { parseExpression } from '../../sessions/expression.ts';
import { evaluate } from '../../sessions/evaluate.ts';
import type { Register } from '../commands.ts';
import { checkOutput, writeOutput } from '../write-output.ts';

interface ListOptions {
  readonly output: string;
  readonly null?: boolean;
}

export const registerList: Register = (program, context) => {
  program
    .command('list <expression>')
    .description('the file list of a session: one relative path a line, the same at any time')
    .option('-o, --output <file>', 'where to (- is standard output)', '-')
    .option('-0, --null', 'end each path with a NUL byte (for names with newlines)')
    .action(async (text: string, options: ListOptions, command: Command) => {
      const here = context(command);
      const { output } = here;
      const nul = options.null === true;
      checkOutput(options.output, [here.database]);
      await here.withStore(async (store) => {
        const { expression, objects } = evaluate(parseExpression(text), store);
        const paths = objects.flatMap(({ names }) => names).sort(compareBytes);
        if (options.output !== '-') {
          await writeOutput({ output, path: options.output }, [formatList(paths, { nul })]);
          output.value({ expression, output: options.output, count: paths.length });
          output.line(`${options.output}: ${paths.length} paths of ${expression}`);
        } else if (output.json) output.value({ expression, paths: paths.map(jsonPath) });
        else if (output.isTerminal && !nul)
          for (const path of paths) output.pathLine('', shownPath(path));
        else output.bytes(formatList(paths, { nul }));
      });
    });
};
