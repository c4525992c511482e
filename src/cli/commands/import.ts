/** `trace import`: a session from a list of paths that something else has written. */
import { Option, type Command } from 'commander';
import { jsonPath } from '../../common/bytes.ts';
import { TraceError } from '../../common/errors.ts';
import { checkStart } from '../../daemon/check-start.ts';
import type { GivenCounts, GivenLoss, GivenSkip } from '../../daemon/given-stream-client.ts';
import { guessFormat } from '../../lists/guess-format.ts';
import { PATH_VIEWS, RootPaths, type PathView } from '../../lists/root-paths.ts';
import { FORMATS, type Format, type Refusal } from '../../lists/use.ts';
import { pathOfArgument } from '../bytes-of-argument.ts';
import type { Register } from '../commands.ts';
import { importList, viewOf } from '../import/import-list.ts';
import { openList } from '../import/list-input.ts';
import type { Refused, UsedPaths } from '../import/used-paths.ts';
import type { Output } from '../output.ts';
import { required } from '../required.ts';
import { rootArgument } from '../root-argument.ts';
import { withDaemon } from '../with-daemon.ts';

interface ImportOptions {
  readonly list?: string;
  readonly root?: string;
  readonly format?: Format;
  readonly paths: PathView;
  readonly label?: string;
}

export const registerImport: Register = (program, context) => {
  program
    .command('import')
    .description('make a session of a list: paths, output of strace or find, an audit log')
    .option('--list <file>', 'the list; - is standard input (required)')
    .option('--root <dir>', 'the directory tree that it is about (required)')
    .addOption(new Option('--format <format>', 'what the list is; else guessed').choices(FORMATS))
    .addOption(
      new Option('--paths <view>', 'who sees the absolute paths so: the root, or the server')
        .choices(PATH_VIEWS)
        .default('auto'),
    )
    .option('--label <text>', 'a name for this session')
    .action(async (options: ImportOptions, command: Command) => {
      const here = context(command);
      const { client, output } = here;
      const list = required(options.list, '--list <file>');
      const named = required(options.root, '--root <dir>');
      const root = checkStart({ root: rootArgument(named), clients: [] });
      const { head, all: input } = await openList(list);
      const format = options.format ?? guessFormat(head);
      if (options.format === undefined) output.say(`taken for ${FORMAT_WORDS[format]}`);
      const written = {
        names: [pathOfArgument(named), root],
        view: options.paths,
        cwd: pathOfArgument('.'),
      };
      const view = viewOf(written, { head, format });
      let started: number | null = null;
      const { stream, used } = await importList({
        input,
        format,
        paths: new RootPaths({ ...written, view }),
        begin: async () => {
          const opening = { root, giver: 'import', label: options.label ?? null } as const;
          const asked = await withDaemon(here, () => client.give(opening));
          started = asked.started;
          return asked.answer;
        },
      });
      if (stream === null) throw nothingIn(list, used);
      const refused = used.refused();
      const counts = await stream.end(lossesOf(refused));
      const { session } = stream;
      output.value({
        ...{ session, root: jsonPath(root), format, lines: used.line, uses: used.uses },
        ...counts,
        passed: used.passed(),
        refused: refused.map(({ firstLine, ...one }) => ({ ...one, first_line: firstLine })),
        daemon_started: started,
      });
      warn(output, used, { ...counts, format, head });
      const { found, missing } = counts;
      output.line(
        `${session}: ${used.uses} uses of paths in ${used.line} lines; ` +
          `paths that are there: ${found}, that are not: ${missing}`,
      );
    });
};

const FORMAT_WORDS: Readonly<Record<Format, string>> = {
  plain: 'a list of paths, one a line',
  null: 'a list of paths, each ended by a NUL byte',
  strace: 'output of strace',
  find: 'output of find -ls',
  audit: 'a log of the audit system',
};

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

const REFUSAL_WORDS: Readonly<Record<Refusal, string>> = {
  'not-understood': 'not understood',
  'too-long': 'too long to be read',
  truncated: 'with a path that is cut short',
  'unknown-directory': 'relative to a directory that the list does not tell',
};

const SKIP_WORDS: Readonly<Record<GivenSkip, string>> = {
  'not-a-path': 'no paths',
  'not-a-directory': 'below something that is no directory',
  'too-many-links': 'in a circle of links',
  'other-file-system': 'of other file systems, mounted below the root and not recorded with it',
  'no-room': 'beyond what the index of the root holds',
};

/** What could not be read may have been an access. */
function lossesOf(refused: readonly Refused[]): GivenLoss[] {
  const count = refused.reduce((sum, one) => sum + one.count, 0);
  if (count === 0) return [];
  return [{ where: 'import', count, detail: refused.map(refusalText).join('; ') }];
}

function refusalText({ why, count, firstLine }: Refused): string {
  return `${count} ${REFUSAL_WORDS[why]}, the first in line ${firstLine}`;
}

function warn(
  output: Output,
  used: UsedPaths,
  {
    found,
    missing,
    skipped,
    format,
    head,
  }: GivenCounts & { readonly format: Format; readonly head: Buffer },
): void {
  for (const refused of used.refused())
    output.warn(
      refusalText(refused),
      refused.why === 'unknown-directory' && format === 'strace'
        ? 'this is a loss of the session; strace -y tells the directories'
        : 'this is a loss of the session: `trace export` wants --accept-loss',
    );
  const { outside } = used.passed();
  if (outside > 0) output.say(`${outside} uses of paths that are not below the root are left out`);
  for (const [why, count] of Object.entries(skipped) as [GivenSkip, number][])
    if (count > 0)
      output.warn(
        `${count} paths are not in the session: ${SKIP_WORDS[why]}`,
        'see docs/import.md',
      );
  const odd = missing > 0 ? oddEnds(head, format) : null;
  if (found === 0)
    output.warn(
      'none of the paths is there',
      odd ?? 'is it a list of this root, and of this format? See --paths and --format',
    );
  else if (odd !== null) output.warn('some of the paths are not there', odd);
}

/** What other systems put into lists. Names are bytes, so nothing is taken off. */
function oddEnds(head: Buffer, format: Format): string | null {
  const isByLine = format === 'plain' || format === 'find';
  const odd = [];
  if (head.subarray(0, 3).equals(BYTE_ORDER_MARK) && (isByLine || format === 'null'))
    odd.push('the list begins with a byte order mark (EF BB BF), which is part of its first name');
  if (isByLine && head.includes('\r\n'))
    odd.push('lines end with CR LF, and the CR is part of the name');
  return odd.length === 0 ? null : `${odd.join('; ')}: make it without`;
}

function nothingIn(list: string, used: UsedPaths): TraceError {
  const { outside } = used.passed();
  const refused = used.refused().map(refusalText).join('; ');
  return new TraceError({
    code: 'nothing-to-import',
    message:
      `nothing in ${list === '-' ? 'standard input' : list} is a path below the root ` +
      `(${used.line} lines; ${outside} paths elsewhere${refused === '' ? '' : `; ${refused}`})`,
    hint:
      outside > 0
        ? 'if they are as the root itself sees them: --paths inside'
        : 'name the format with --format, if the guess was wrong',
    exit: 'data',
  });
}
