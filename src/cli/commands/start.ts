/** `trace start`: begins to record a root; starts a daemon in the background if none listens. */
import { Option, type Command } from 'commander';
import { bytesOf } from '../../common/bytes.ts';
import { TraceError } from '../../common/errors.ts';
import { checkStart } from '../../daemon/check-start.ts';
import type { Register } from '../commands.ts';
import { required } from '../required.ts';
import { rootArgument } from '../root-argument.ts';

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
      const { client, output, places } = context(command);
      const root = rootArgument(required(options.root, '--root <dir>'));
      const clients = options.client ?? [];
      checkStart({ root, clients });
      const { label = null, onLoss, keepContent = false } = options;
      const request = { root, label, clients, onLoss, keepContent };
      let pid: number | null = null;
      const body = await client.start(request).catch(async (error: unknown) => {
        if (!isNobodyThere(error)) throw error;
        // Loaded only now: most starts find a daemon, and its modules take 1.4 ms to load.
        const { spawnDaemon } = await import('../spawn-daemon.ts');
        pid = await spawnDaemon({ client, places });
        if (pid !== null)
          output.say(`started a daemon (pid ${pid}); its log is ${places.stateDir}/daemon.log`);
        return client.start(request);
      });
      output.value({ ...body, daemon_started: pid });
      for (const { message, hint } of body.warnings) output.warn(message, hint);
      const { root: recorded, objects, walking } = body.recording;
      const size = walking ? 'being listed' : `${objects} objects`;
      output.line(`recording ${output.name(bytesOf(recorded))}: ${size}, tier ${body.tier}`);
    });
};

/** Did no daemon take the request? */
function isNobodyThere(error: unknown): boolean {
  return (
    error instanceof TraceError &&
    (error.code === 'daemon-not-running' || error.code === 'daemon-ending')
  );
}
