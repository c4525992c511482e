/** `trace daemon`: the recorder in the foreground; systemd runs this. */
import type { Command } from 'commander';
import type { Register } from '../commands.ts';
import { loadConfig } from '../../daemon/config.ts';
import { version } from '../version.ts';

export const registerDaemon: Register = (program, context) => {
  program
    .command('daemon')
    .description('the recorder, in the foreground')
    .option('--config <file>', 'configuration (JSON)')
    .action(async (options: { config?: string }, command: Command) => {
      const { config } = context(command);
      const { runDaemon } = await import('../../daemon/daemon.ts');
      await runDaemon({
        config: options.config === undefined ? config : loadConfig(options.config, process.env),
        version: version(),
      });
    });
};
