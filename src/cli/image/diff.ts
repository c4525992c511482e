/** `trace image diff A B`: what two images differ in once they are unpacked. */
import type { Command } from 'commander';
import { jsonPath, shownPath } from '../../common/bytes.ts';
import { EXIT, TraceError } from '../../common/errors.ts';
import { type Difference, diffTrees } from '../../image/tools/diff-trees.ts';
import { verifyImage } from '../../image/tools/verify-image.ts';
import type { Register } from '../commands.ts';
import { checkWhole, withImage } from './image-input.ts';
import { bytesOfName, stopShape } from './shapes.ts';
import { shownName } from './text.ts';

const SIGNS = { removed: '-', added: '+', changed: '~' } as const;

export const registerImageDiff: Register = (image, context) => {
  image
    .command('diff <first> <second>')
    .description('what two images differ in once they are unpacked: names, metadata, content')
    .option('--times', 'modification times too')
    .action(
      async (first: string, second: string, options: { times?: boolean }, command: Command) => {
        const { output } = context(command);
        if (first === '-' && second === '-')
          throw new TraceError({
            code: 'two-inputs',
            message: 'both images cannot come from standard input',
            hint: 'give one of them as a file',
            exit: 'usage',
          });
        const one = await withImage(first, verifyImage);
        const other = await withImage(second, verifyImage);
        const differences = [...diffTrees(one.tree, other.tree, { times: options.times === true })];
        if (differences.length > 0) process.exitCode = EXIT.failed;
        output.value({
          first,
          second,
          same: differences.length === 0,
          differences: differences.map(shape),
          first_stop: stopShape(one),
          second_stop: stopShape(other),
        });
        for (const { what, path, changed } of differences)
          output.line(
            `${SIGNS[what]} ${shownName(path === '' ? '.' : path)}` +
              (changed.length === 0 ? '' : `: ${changed.join(', ')}`),
          );
        checkWhole(one, { output, name: first });
        checkWhole(other, { output, name: second });
      },
    );
};

function shape({ path, what, changed }: Difference) {
  return { ...jsonPath(shownPath(bytesOfName(path))), what, changed };
}
