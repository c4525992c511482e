/** `trace mark TEXT`: a named moment in every open session. */
import type { Command } from 'commander';
import type { Register } from '../commands.ts';

export const registerMark: Register = (program, context) => {
  program
    .command('mark <text>')
    .description('put a named moment into every open session')
    .action(async (text: string, _, command: Command) => {
      const { client, output } = context(command);
      const body = await client.mark(text);
      output.value(body);
      output.line(
        body.sessions.length === 0
          ? 'no session is open; nothing was marked'
          : `marked ${body.sessions.join(', ')}: ${text}`,
      );
    });
};
