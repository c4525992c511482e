/** `trace daemon`: the recorder in the foreground; systemd runs this. */
import { Option, type Command } from 'commander';
import { usualConfig } from '../../daemon/config-file.ts';
import { SOCKET_VARIABLE, STATE_DIR_VARIABLE } from '../../daemon/places.ts';
import type { Register } from '../commands.ts';
import type { GlobalOptions } from '../context.ts';
import { version } from '../version.ts';

export const registerDaemon: Register = (program) => {
  program
    .command('daemon')
    .description('the recorder, in the foreground')
    .option(
      '--config <file>',
      'configuration (JSON; default /etc/nfsroot-trace.json, if it is there)',
    )
    .addOption(
      new Option(
        '--record-batches <dir>',
        'write everything that the sensors hand over there, for tests that replay it',
      ).hideHelp(),
    )
    .action(async (options: { config?: string; recordBatches?: string }, command: Command) => {
      const { stateDir, socket } = command.optsWithGlobals<GlobalOptions>();
      const { loadConfig } = await import('../../daemon/config.ts');
      const { runDaemon } = await import('../../daemon/daemon.ts');
      const readConfig = () =>
        loadConfig(options.config ?? usualConfig(), {
          ...process.env,
          ...(stateDir === undefined ? {} : { [STATE_DIR_VARIABLE]: stateDir }),
          ...(socket === undefined ? {} : { [SOCKET_VARIABLE]: socket }),
        });
      await runDaemon({
        config: readConfig(),
        readConfig,
        version: version(),
        recordBatches: options.recordBatches,
      });
    });
};
