/** `trace snapshot EXPRESSION`: keeps the content that images of it need. */
import type { Command } from 'commander';
import { bytesOf } from '../../common/bytes.ts';
import type { ImageRule } from '../../image/choices.ts';
import type { Register } from '../commands.ts';
import { imageRulesOf, ruleArgument } from '../image-rules.ts';
import { size } from '../output.ts';
import { warnOfDrift } from '../session-image-words.ts';

interface SnapshotOptions {
  readonly rules?: string;
  readonly replace?: boolean;
}

export const registerSnapshot: Register = (program, context) => {
  const given: ImageRule[] = [];
  program
    .command('snapshot <expression>')
    .description('keep what images of a session need, for export --as-recorded')
    .option('--include <glob>', 'keep this of the root too (repeatable)', (text: string) => {
      given.push(ruleArgument(true, text));
    })
    .option('--rules <file>', "more such rules, one a line: '+ GLOB' or '- GLOB'")
    .option('--replace', 'give up what was kept before and the root has not any more')
    .action(async (expression: string, options: SnapshotOptions, command: Command) => {
      const { client, output } = context(command);
      const { replace } = options;
      const rules = imageRulesOf(given, options.rules);
      const body = await client.keepContent({ expression, rules, replace });
      output.value(body);
      warnOfDrift(output, body.drift);
      if (body.open.length > 0)
        output.warn(
          `${body.open.join(', ')} still open: what comes later is not kept`,
          'keep it again when it has ended; `trace start --keep-content` does so by itself',
        );
      const { blobs, bytes, shared } = body.added;
      output.line(
        `${body.snapshot} of ${output.name(bytesOf(body.root))}: ${body.files} files, ${size(body.bytes)} kept; ` +
          `new: ${blobs}, ${size(bytes)} (${shared} share the root's blocks)`,
      );
    });
};
