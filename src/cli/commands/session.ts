/** `trace session new --client IP`: ends a client's session by hand; its next access opens one. */
import type { Command } from 'commander';
import type { Register } from '../commands.ts';
import { required } from '../required.ts';
import { rootArgument } from '../root-argument.ts';

export const registerSession: Register = (program, context) => {
  program
    .command('session')
    .description('handle boot sessions by hand')
    .command('new')
    .description("end a client's open sessions; its next access opens a new one")
    .option('--client <ip>', 'the client (required)')
    .option('--root <dir>', 'only on this root')
    .action(async (options: { client?: string; root?: string }, command: Command) => {
      const { client, output } = context(command);
      const root = options.root === undefined ? null : rootArgument(options.root);
      const body = await client.newSession(required(options.client, '--client <ip>'), root);
      output.value(body);
      output.line(`ended: ${body.sessions.join(', ') || 'no session was open'}`);
    });
};
