/** `trace daemon`: the recorder in the foreground; systemd runs this. */
import type { Register } from '../commands.ts';
import { loadConfig } from '../../daemon/config.ts';
import { runDaemon } from '../../daemon/daemon.ts';
import { version } from '../version.ts';

export const registerDaemon: Register = (program, context) => {
  program
    .command('daemon')
    .description('the recorder, in the foreground')
    .option('--config <file>', 'configuration (JSON)')
    .action(async (options: { config?: string }, command) => {
      const { config } = context(command);
      await runDaemon({
        config: options.config === undefined ? config : loadConfig(options.config, process.env),
        version: version(),
      });
    });
};
