/** `trace client label ADDRESS LABEL` and `trace client list`: what people call the clients. */
import type { Command } from 'commander';
import { TraceError } from '../../common/errors.ts';
import type { Register } from '../commands.ts';
import { table, time } from '../output.ts';
import { clientShape } from '../shapes.ts';

export const registerClient: Register = (program, context) => {
  const clients = program.command('client').description('name clients, and list them');
  clients
    .command('label <client> [label]')
    .description('call a client something; it is shown beside its address')
    .option('--remove', 'take the label away')
    .action(
      async (
        client: string,
        label: string | undefined,
        options: { remove?: boolean },
        command: Command,
      ) => {
        if ((label === undefined) !== (options.remove === true))
          throw new TraceError({
            code: 'usage-label',
            message: 'give either a label or --remove',
            hint: 'like `trace client label 10.0.0.7 rack1-07`',
            exit: 'usage',
          });
        const { client: daemon, output } = context(command);
        const body = await daemon.label(client, label ?? null);
        output.value(body);
        const address = output.name(Buffer.from(body.client));
        if (body.label === null) output.line(`${address} has no label`);
        else output.line(`${address} is ${output.name(Buffer.from(body.label))}`);
      },
    );
  clients
    .command('list')
    .description('every client that has a session or a label')
    .action(async (_, command: Command) => {
      const here = context(command);
      const { output } = here;
      await here.withStore((store) => {
        const rows = store.clients();
        output.value({ clients: rows.map(clientShape) });
        if (rows.length === 0) output.line('no client yet');
        else
          for (const line of table([
            ['CLIENT', 'LABEL', 'NAME', 'SESSIONS', 'LAST SESSION', 'LAST ACCESS'],
            ...rows.map((row) => [
              output.name(Buffer.from(row.address)),
              output.name(Buffer.from(row.label ?? '')),
              output.name(Buffer.from(row.name ?? '')),
              String(row.sessions),
              row.lastSession === null ? '' : `session-${row.lastSession}`,
              row.lastUs === null ? '' : time(row.lastUs),
            ]),
          ]))
            output.line(line);
      });
    });
};
