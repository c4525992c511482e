/** `trace status`: what is recorded now, at which tier, and what was lost. */
import type { Command } from 'commander';
import { bytesOf } from '../../common/bytes.ts';
import type { Register } from '../commands.ts';
import { table } from '../output.ts';

/** Clients that fit on a screen. */
const MOST_LINES = 20;

export const registerStatus: Register = (program, context) => {
  program
    .command('status')
    .description('what is recorded now')
    .action(async (_, command: Command) => {
      const { client, output } = context(command);
      const body = await client.status();
      output.value(body);
      if (body.failure !== null)
        output.warn(
          `nothing reaches the database since ${body.last_commit}: ${body.failure}`,
          `${body.uncommitted} commits wait in the daemon's memory; they are lost if it ends first`,
        );
      for (const { message, hint } of body.warnings) output.warn(message, hint);
      output.line(
        `daemon ${body.pid}, version ${body.version}, database ${output.name(Buffer.from(body.database))}`,
      );
      output.line(`tier ${body.tier}; NFS server's trace: ${body.nfsd.state}`);
      output.line(
        `events: ${body.nfsd.events} of the NFS server, ${body.fanotify.events} of files` +
          ` (${body.fanotify.filtered} by local programs left out)`,
      );
      output.line(
        `lost: ${body.nfsd.lost} of the NFS server, ${body.fanotify.lost} of files;` +
          ` handles without a name: ${body.unresolved}`,
      );
      const { accesses, evidence, identities, boots } = body.dropped;
      if (accesses + evidence + identities + boots > 0)
        output.line(
          `beyond the bounds: ${accesses} accesses of clients without a session, ${evidence} clients'` +
            ` boot evidence, ${identities} NFSv4 identities, ${boots} boots too soon after others`,
        );
      const { waiting, kept, failed, last_failure: failure } = body.content;
      if (waiting + kept + failed > 0)
        output.line(`content kept by itself: ${kept} sessions, ${failed} failed, ${waiting} wait`);
      if (failure !== null)
        output.warn(
          `content not kept for ${output.name(Buffer.from(failure))}`,
          '`trace snapshot` tries again',
        );
      output.line(`open sessions: ${body.sessions_open}`);
      for (const row of table(
        body.clients
          .slice(0, MOST_LINES)
          .map(({ client, label, name, sessions }) => [
            `  ${output.name(Buffer.from(client))}`,
            output.name(Buffer.from(label ?? name ?? '')),
            sessions.join(' '),
          ]),
      ))
        output.line(row);
      if (body.clients.length > MOST_LINES) output.line('  ... (`trace sessions` has all)');
      for (const { root, waiting } of body.recordings)
        if (waiting !== null)
          output.warn(
            `${output.name(bytesOf(root))} is not recorded now: ${waiting}`,
            'it is looked for every two seconds; `trace stop --root DIR` ends its recording',
          );
      if (body.recordings.length === 0) output.line('nothing is being recorded');
      for (const row of table(
        body.recordings.map(({ root, objects, walking, since, label, waiting }) => [
          output.name(bytesOf(root)),
          waiting !== null ? 'waits' : walking ? 'being listed' : `${objects} objects`,
          `since ${since}`,
          output.name(Buffer.from(label ?? '')),
        ]),
      ))
        output.line(row);
    });
};
