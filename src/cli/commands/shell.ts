/** `trace shell`: the way into a root by hand, recorded as `trace run` records. */
import type { Command } from 'commander';
import type { Register } from '../commands.ts';
import { rootArgument } from '../root-argument.ts';
import { runLocally } from '../run-locally.ts';

export const registerShell: Register = (program, context) => {
  program
    .command('shell')
    .description('enter a root by its /chroot, else by a shell of it, and record what is used')
    .argument('<dir>', 'the directory tree')
    .option('--label <text>', 'a name for the session')
    .action(async (dir: string, options: { readonly label?: string }, command: Command) => {
      const label = options.label ?? null;
      await runLocally(context(command), { root: rootArgument(dir), command: [], label });
    });
};
