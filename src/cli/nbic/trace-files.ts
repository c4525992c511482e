/**
 * `trace-files -t TIMESTAMP -d DIR -o LIST`: what clients have used of a root since then. Owns that
 * command line. It comes from recorded sessions, never from access times, so that it is the same
 * list however often it is asked for.
 */
import type { Command } from 'commander';
import { compareBytes, jsonPath } from '../../common/bytes.ts';
import { TraceError } from '../../common/errors.ts';
import { refuseDoubt } from '../../daemon/build-image.ts';
import { formatList } from '../../image/list.ts';
import { evaluate, type SessionSet } from '../../sessions/evaluate.ts';
import { parseExpression } from '../../sessions/expression.ts';
import type { SessionRow, Store } from '../../store/store.ts';
import type { Register } from '../commands.ts';
import { time, type Output } from '../output.ts';
import { recordedRoot } from '../recorded-root.ts';
import { required } from '../required.ts';
import { checkOutput, writeOutput } from '../write-output.ts';
import { sinceArgument } from './since.ts';

interface TraceFilesOptions {
  readonly timestamp?: string;
  readonly directory?: string;
  readonly output: string;
  readonly null?: boolean;
  readonly acceptLoss?: boolean;
}

export const registerTraceFiles: Register = (program, context) => {
  program
    .command('trace-files')
    .description('the files of a root that clients have used since a moment, from its sessions')
    .option('-t, --timestamp <file>', 'since this file was modified, or a time (required)')
    .option('-d, --directory <dir>', 'the root (required)')
    .option('-o, --output <file>', 'the list, one path a line (- is standard output)', '-')
    .option('-0, --null', 'end each path with a NUL byte (for names with newlines)')
    .option('--accept-loss', 'list also sessions with loss, or that began with the client up')
    .action(async (options: TraceFilesOptions, command: Command) => {
      const here = context(command);
      checkOutput(options.output, [here.database]);
      const { output } = here;
      const since = sinceArgument(required(options.timestamp, '-t <file>'));
      const directory = required(options.directory, '-d <dir>');
      const nul = options.null === true;
      await here.withStore(async (store) => {
        const set = usedSince(store, directory, since);
        if (options.acceptLoss !== true) refuseDoubt(set);
        const made = set.objects.filter(({ created }) => created).length;
        const paths = set.objects
          .flatMap(({ names, created }) => (created ? [] : names))
          .sort(compareBytes);
        const told = { ...summary(set, since), count: paths.length, created: made };
        warn(output, set, { made, since });
        if (options.output !== '-') {
          await writeOutput({ output, path: options.output }, [formatList(paths, { nul })]);
          output.value({ ...told, output: options.output });
          output.line(
            `${options.output}: ${paths.length} paths since ${time(since)}, of ${sessionsText(set.sessions)}`,
          );
        } else if (output.json) output.value({ ...told, paths: paths.map(jsonPath) });
        else {
          output.bytes(formatList(paths, { nul }));
          output.say(
            `${paths.length} paths since ${time(since)}, of ${sessionsText(set.sessions)}`,
          );
        }
      });
    });
};

/** Of every session of the root that went on after the moment, what was used then. */
function usedSince(store: Store, directory: string, sinceUs: number): SessionSet {
  const root = recordedRoot(store, directory);
  const sessions = store.sessions({ rootId: root.id, sinceUs });
  if (sessions.length === 0) {
    const last = store.sessions({ rootId: root.id }).at(-1);
    throw new TraceError({
      code: 'no-session-since',
      message: `no client has used ${root.path.toString()} since ${time(sinceUs)}`,
      hint:
        last === undefined
          ? 'it has no session yet: boot the client while `trace status` shows the root'
          : `its last session is session-${last.id}, until ${time(last.lastUs)}`,
      exit: 'notFound',
    });
  }
  const files = (id: number) => store.files(id).filter(({ lastUs }) => lastUs >= sinceUs);
  const union = sessions.map(({ id }) => id).join('+');
  return evaluate(parseExpression(union), { session: (id) => store.session(id), files });
}

function summary({ expression, sessions, open }: SessionSet, since: number): object {
  return {
    expression,
    since: time(since),
    sessions: sessions.map(({ id }) => `session-${id}`),
    open: open.map((id) => `session-${id}`),
  };
}

function sessionsText(sessions: readonly SessionRow[]): string {
  return sessions.map(({ id, client }) => `session-${id} (${client})`).join(', ');
}

function warn(
  output: Output,
  { sessions, open, loss, partial }: SessionSet,
  { made, since }: { readonly made: number; readonly since: number },
): void {
  const earlier = sessions.filter(({ openedUs }) => openedUs < since).map(nameOf);
  if (earlier.length > 0)
    output.warn(
      `${earlier.join(', ')} began before that: what the client had in its cache by then is not on the list`,
      'give -t a moment before the boot, or take all of a session with `trace list`',
    );
  if (open.length > 0)
    output.warn(
      `${open.map((id) => `session-${id}`).join(', ')} still open: what comes later is not on the list`,
      'end them with `trace stop` or `trace session new`',
    );
  if (made > 0) output.say(`${made} files that the sessions themselves made are left out`);
  if (loss > 0 || partial.length > 0)
    output.warn(
      `listed from doubtful sessions: loss ${loss}, partial ${partial.length}`,
      '`trace show` says what and when',
    );
}

const nameOf = ({ id }: SessionRow): string => `session-${id}`;
