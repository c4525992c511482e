/** `trace list SESSION`: the idempotent file list, from the database alone. */
import type { Command } from 'commander';
import { formatList } from '../../image/list.ts';
import { parseExpression } from '../../sessions/expression.ts';
import { evaluate } from '../../sessions/evaluate.ts';
import type { Register } from '../commands.ts';
import { writeOutput } from '../write-output.ts';

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
      await here.withStore(async (store) => {
        const set = evaluate(parseExpression(text), store);
        const paths = set.objects.flatMap(({ names }) => names);
        await writeOutput(
          { output, path: options.output },
          formatList(paths, { nul: options.null === true }),
        );
        if (options.output === '-') return;
        output.value({ expression: set.expression, output: options.output, paths: paths.length });
        output.line(`${options.output}: ${paths.length} paths of ${set.expression}`);
      });
    });
};
