/** `trace stop`: drains every queue, then ends recordings. */
import type { Command } from 'commander';
import { bytesOf } from '../../common/bytes.ts';
import { EXIT } from '../../common/errors.ts';
import type { StoppedBody } from '../../daemon/api.ts';
import type { Output } from '../output.ts';
import type { Register } from '../commands.ts';
import { rootArgument } from '../root-argument.ts';

function warn(output: Output, { root, losses, failed }: StoppedBody): void {
  const what = losses.map(({ where, count }) => `${count} ${where}`).join(', ');
  output.warn(
    `the recording of ${output.name(bytesOf(root))} ${failed ? 'failed: it lost' : 'lost'} ${what}`,
    '`trace sessions` says which sessions it hit, `trace show` when',
  );
}

export const registerStop: Register = (program, context) => {
  program
    .command('stop')
    .description('end the recording of a root, or of all; answers when every queue is drained')
    .option('--root <dir>', 'the root; default: all')
    .option('--daemon', 'end the daemon instead; recordings resume when it starts again')
    .action(async (options: { root?: string; daemon?: boolean }, command: Command) => {
      const { client, output } = context(command);
      if (options.daemon === true) {
        await client.shutdown();
        await client.ended();
        output.value({ daemon: 'stopped' });
        output.line('the daemon has ended; recordings resume when it starts again');
        return;
      }
      const body = await client.stop(
        options.root === undefined ? null : rootArgument(options.root),
      );
      output.value(body);
      for (const { message, hint } of body.warnings) output.warn(message, hint);
      for (const stopped of body.stopped) {
        output.line(
          `stopped recording ${output.name(bytesOf(stopped.root))}; ended: ${stopped.sessions.join(', ') || 'no session'}`,
        );
        if (stopped.losses.length > 0) warn(output, stopped);
        if (stopped.failed) process.exitCode = EXIT.failed;
      }
      if (body.stopped.length === 0) output.line('nothing was being recorded');
    });
};
