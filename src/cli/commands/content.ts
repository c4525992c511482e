/** `trace content list|remove|prune|check`: what is kept, and letting go of it. */
import type { Command } from 'commander';
import { bytesOf } from '../../common/bytes.ts';
import { EXIT } from '../../common/errors.ts';
import type { PrunedBody } from '../../daemon/content-api.ts';
import type { Register } from '../commands.ts';
import { size, table, type Output } from '../output.ts';

export const registerContent: Register = (program, context) => {
  const content = program.command('content').description('what is kept for export --as-recorded');
  content
    .command('list')
    .description('every snapshot, the newest first')
    .action(async (_, command: Command) => {
      const { client, output } = context(command);
      const body = await client.content();
      output.value(body);
      output.line(
        `${output.name(Buffer.from(body.folder))}: ${body.blobs} files, ${size(body.bytes)} of ${size(body.max_bytes)}`,
      );
      for (const line of table(
        body.snapshots.map((one) =>
          'damaged' in one
            ? [one.snapshot, 'damaged']
            : [
                one.snapshot,
                output.name(bytesOf(one.root)),
                one.at,
                `${one.files} files`,
                size(one.bytes),
              ],
        ),
      ))
        output.line(line);
    });
  content
    .command('remove <expression>')
    .description('let go of a snapshot, and of what only that one needs')
    .action(async (expression: string, _, command: Command) => {
      const { client, output } = context(command);
      tell(output, await client.removeContent(expression));
    });
  content
    .command('prune')
    .description('let go of snapshots of sessions that are gone, and of what no snapshot needs')
    .action(async (_, command: Command) => {
      const { client, output } = context(command);
      tell(output, await client.pruneContent());
    });
  content
    .command('check')
    .description('read everything that is kept; damaged files are removed, and told')
    .action(async (_, command: Command) => {
      const { client, output } = context(command);
      const body = await client.checkContent();
      output.value(body);
      output.line(
        `${body.blobs} files, ${size(body.bytes)} are sound; ${body.damaged} were damaged`,
      );
      const hurt = body.snapshots.filter(({ damaged, missing }) => damaged || missing > 0);
      for (const { snapshot, damaged, missing } of hurt)
        output.warn(
          damaged ? `the snapshot of ${snapshot} is damaged` : `${snapshot} lacks ${missing} files`,
          'while the root still has them, `trace snapshot` keeps them anew',
        );
      if (body.damaged > 0 || hurt.length > 0) process.exitCode = EXIT.failed;
    });
};

function tell(output: Output, body: PrunedBody): void {
  output.value(body);
  const which = body.snapshots.length === 0 ? 'no snapshot' : body.snapshots.join(', ');
  output.line(`${which} and ${body.blobs} files, ${size(body.bytes)}, are gone`);
}
