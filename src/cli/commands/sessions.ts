/** `trace sessions`: every boot session, with what it holds and what it lost. */
import type { Command } from 'commander';
import { resolve } from 'node:path';
import type { Register } from '../commands.ts';
import { TraceError } from '../../common/errors.ts';
import type { Store } from '../../store/store.ts';
import { rootArgument } from '../root-argument.ts';
import { clientText, sessionShape, stateOf } from '../shapes.ts';
import { spelledAddress } from '../../common/addresses.ts';
import { size, table, time } from '../output.ts';

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
          ...(options.root === undefined ? {} : { rootId: rootId(store, options.root) }),
          ...(options.client === undefined ? {} : { client: spelledAddress(options.client) }),
          ...(options.since === undefined ? {} : { sinceUs: since(options.since) }),
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
              size(row.bytes),
              String(row.loss),
              stateOf(row),
            ]),
          ]))
            output.line(line);
      });
    });
};

function rootId(store: Store, text: string): number {
  const wanted = [rootArgument(text), Buffer.from(resolve(text))];
  const root = store.roots().find(({ path }) => wanted.some((one) => one.equals(path)));
  if (root !== undefined) return root.id;
  throw new TraceError({
    code: 'unknown-root',
    message: `${text} has never been recorded`,
    hint: `recorded: ${
      store
        .roots()
        .map(({ path }) => path.toString())
        .join(', ') || 'nothing'
    }`,
    exit: 'notFound',
  });
}

function since(text: string): number {
  const ms = Date.parse(text);
  if (Number.isFinite(ms)) return ms * 1000;
  throw new TraceError({
    code: 'bad-time',
    message: `'${text}' is not a time`,
    hint: 'write it like 2026-01-31T12:00:00Z',
    exit: 'usage',
  });
}
