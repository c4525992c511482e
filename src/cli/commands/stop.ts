/** `trace stop`: drains every queue, then ends recordings. */
import type { Command } from 'commander';
import { bytesOf } from '../../common/bytes.ts';
import type { Register } from '../commands.ts';
import { rootArgument } from '../root-argument.ts';

export const registerStop: Register = (program, context) => {
  program
    .command('stop')
    .description('end the recording of a root, or of all; answers when every queue is drained')
    .option('--root <dir>', 'the root; default: all')
    .option('--daemon', 'end the daemon too; recordings resume when it starts again')
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
      for (const { root, sessions } of body.stopped)
        output.line(
          `stopped recording ${output.name(bytesOf(root))}; ended: ${sessions.join(', ') || 'no session'}`,
        );
      if (body.stopped.length === 0) output.line('nothing was being recorded');
    });
};
