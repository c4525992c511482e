/** A command of `trace` as a program of its own. */
import { Command } from 'commander';
import type { Register } from './commands.ts';
import type { Context } from './context.ts';

export function standAlone(register: Register, context: (command: Command) => Context): Command {
  const holder = new Command();
  register(holder, context);
  const [program] = holder.commands;
  if (program === undefined) throw new RangeError('it registers no command');
  program.parent = null;
  return program;
}
