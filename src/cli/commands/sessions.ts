/** `trace sessions`: every boot session, with what it holds and what it lost. */
import type { Command } from 'commander';
import type { Register } from '../commands.ts';
import { momentOf } from '../moment.ts';
import { recordedRoot } from '../recorded-root.ts';
import { bytesText, clientText, sessionShape, stateOf } from '../shapes.ts';
import { spelledAddress } from '../../common/addresses.ts';
import { table, time } from '../output.ts';

interface SessionsOptions {
  readonly root?: string;
  readonly client?: string;
  readonly since?: string;
}

export const registerSessions: Register = (program, context) => {
  program
    .command('sessions')
    .description('list the boot sessions')
    .option('--root <dir>', 'only on this root')
    .option('--client <client>', 'only of this client: its address or label')
    .option('--since <time>', 'only with an access since then (RFC 3339)')
    .action(async (options: SessionsOptions, command: Command) => {
      const here = context(command);
      const { output } = here;
      await here.withStore((store) => {
        const rows = store.sessions({
          ...(options.root === undefined ? {} : { rootId: recordedRoot(store, options.root).id }),
          ...(options.client === undefined ? {} : { client: spelledAddress(options.client) }),
          ...(options.since === undefined ? {} : { sinceUs: momentOf(options.since) }),
        });
        output.value({ sessions: rows.map(sessionShape) });
        if (rows.length === 0) output.line('no session yet');
        else
          for (const line of table([
            [
              'SESSION',
              'CLIENT',
              'ROOT',
              'BEGAN',
              'EVIDENCE',
              'TIER',
              'FILES',
              'READ',
              'LOSS',
              'STATE',
            ],
            ...rows.map((row) => [
              `session-${row.id}`,
              output.name(Buffer.from(clientText(row))),
              output.name(row.root),
              time(row.openedUs),
              row.evidence.kind,
              row.tier,
              String(row.files),
              bytesText(row),
              String(row.loss),
              stateOf(row),
            ]),
          ]))
            output.line(line);
      });
    });
};
