/** `trace run`: a command in a root as in a machine of its own; what it uses is a session. */
import type { Command } from 'commander';
import type { Register } from '../commands.ts';
import { required } from '../required.ts';
import { rootArgument } from '../root-argument.ts';
import { runLocally } from '../run-locally.ts';

interface RunOptions {
  readonly root?: string;
  readonly label?: string;
}

export const registerRun: Register = (program, context) => {
  program
    .command('run')
    .description('run a command in a root, and record what it uses as a session')
    .argument('[command...]', "after `--`; none: the root's /chroot, else a shell of it")
    .option('--root <dir>', 'the directory tree (required)')
    .option('--label <text>', 'a name for the session')
    .action(async (words: readonly string[], options: RunOptions, command: Command) => {
      const root = rootArgument(required(options.root, '--root <dir>'));
      await runLocally(context(command), { root, command: words, label: options.label ?? null });
    });
};
