/** `trace image lint IMAGE`: what may go wrong when it boots. */
import type { Command } from 'commander';
import { jsonPath, shownPath } from '../../common/bytes.ts';
import { EXIT } from '../../common/errors.ts';
import { withImageTree } from '../../image/tools/image-tree.ts';
import type { Fault } from '../../image/tools/lint/fault.ts';
import { lintImage } from '../../image/tools/lint/lint.ts';
import type { Register } from '../commands.ts';
import { escapeName } from '../output.ts';
import { withImage } from './image-input.ts';
import { bytesOfName, stopShape } from './shapes.ts';
import { shownName } from './text.ts';

export const registerImageLint: Register = (image, context) => {
  image
    .command('lint <image>')
    .description('what may go wrong when it boots, and what it gives away')
    .action((path: string, _options: object, command: Command) => {
      const { output } = context(command);
      return withImage(path, (input) =>
        withImageTree(input, async (opened) => {
          const found = await lintImage(opened);
          const faults = found.filter(({ kind }) => kind === 'fault').length;
          if (faults > 0) process.exitCode = EXIT.failed;
          output.value({
            image: input.name,
            faults,
            notes: found.length - faults,
            findings: found.map(shape),
            stop: stopShape(opened.walked),
          });
          for (const { kind, code, path: at, message } of found) {
            const where = at === null ? '' : ` ${shownName(at === '' ? '.' : at)}`;
            output.line(`${kind} ${code}${where}: ${escapeName(Buffer.from(message))}`);
          }
          output.line(`${input.name}: ${faults} faults, ${found.length - faults} notes`);
        }),
      );
    });
};

function shape({ kind, code, path, message }: Fault) {
  const where = path === null ? { path: null } : jsonPath(shownPath(bytesOfName(path)));
  return { kind, code, ...where, message };
}
