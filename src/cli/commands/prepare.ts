/**
 * `trace prepare`: what only root may do for a daemon that runs without root. systemd runs it
 * before the daemon, and with `--undo` after it.
 */
import type { Command } from 'commander';
import { prepare, undoPrepare } from '../../daemon/prepare.ts';
import type { Register } from '../commands.ts';

export const registerPrepare: Register = (program, context) => {
  program
    .command('prepare')
    .description('create the kernel probe for a daemon that runs without root (as root)')
    .option('--undo', 'remove it')
    .action((options: { undo?: boolean }, command: Command) => {
      const { output } = context(command);
      const kprobe = options.undo === true ? undoPrepare() : prepare();
      output.value({ kprobe });
      output.line(`kprobe event on fh_verify: ${kprobe}`);
    });
};
