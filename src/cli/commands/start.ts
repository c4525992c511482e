/** `trace start`: begins to record a root; starts a daemon in the background if none listens. */
import { Option, type Command } from 'commander';
import { bytesOf } from '../../common/bytes.ts';
import { checkStart } from '../../daemon/check-start.ts';
import type { Register } from '../commands.ts';
import { required } from '../required.ts';
import { rootArgument } from '../root-argument.ts';
import { withDaemon } from '../with-daemon.ts';

interface StartOptions {
  readonly root?: string;
  readonly label?: string;
  readonly client?: readonly string[];
  readonly onLoss: string;
  readonly keepContent?: boolean;
}

export const registerStart: Register = (program, context) => {
  program
    .command('start')
    .description('begin to record an exported root; answers when recording really runs')
    .option('--root <dir>', 'the exported directory tree (required)')
    .option('--label <text>', 'a name for this recording')
    .option(
      '--client <cidr>',
      'only this client or range (repeatable)',
      (value: string, before: readonly string[] | undefined) => [...(before ?? []), value],
    )
    .addOption(
      new Option('--on-loss <what>', 'what a loss makes of the recording')
        .choices(['warn', 'fail'])
        .default('warn'),
    )
    .option('--keep-content', 'when a session ends, keep the files that its image needs')
    .action(async (options: StartOptions, command: Command) => {
      const surroundings = context(command);
      const { client, output } = surroundings;
      const root = rootArgument(required(options.root, '--root <dir>'));
      const clients = options.client ?? [];
      checkStart({ root, clients });
      const { label = null, onLoss, keepContent = false } = options;
      const request = { root, label, clients, onLoss, keepContent };
      const asked = await withDaemon(surroundings, () => client.start(request));
      const { answer: body, started } = asked;
      output.value({ ...body, daemon_started: started });
      for (const { message, hint } of body.warnings) output.warn(message, hint);
      const { root: recorded, objects, walking } = body.recording;
      const size = walking ? 'being listed' : `${objects} objects`;
      output.line(`recording ${output.name(bytesOf(recorded))}: ${size}, tier ${body.tier}`);
    });
};
