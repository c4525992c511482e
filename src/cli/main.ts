/**
 * The programs: their global options, and the one place where a failure becomes a message, a hint
 * and an exit code.
 */
import { Command, CommanderError, Option } from 'commander';
import { EXIT, TraceError } from '../common/errors.ts';
import { commandsFor } from './commands.ts';
import { Context, type GlobalOptions } from './context.ts';
import { checkArguments } from './lossy-arguments.ts';
import { Output, writeAll } from './output.ts';
import { HELP_HINT } from './required.ts';
import { standAlone } from './stand-alone.ts';
import { version } from './version.ts';

const GLOBAL_OPTIONS = [
  ['--json', 'print results as JSON'],
  ['--state-dir <dir>', 'folder of the database (default /var/lib/nfsroot-trace)'],
  ['--socket <path>', 'control socket (default /run/nfsroot-trace/control.sock)'],
  ['--db <file>', 'read this database instead of the one in the state folder'],
] as const;

const contextOf = (command: Command): Context =>
  new Context(command.optsWithGlobals<GlobalOptions>());

/** Each is loaded when it is the one that runs. Those beside `trace` are in docs/nbic.md. */
const PROGRAMS: Readonly<Record<string, (argv: readonly string[]) => Promise<Command>>> = {
  trace: async (argv) => {
    const trace = new Command('trace').description(
      'Records which files each diskless client of an NFS root really used, and builds a small RAM image from them.',
    );
    for (const register of await commandsFor(argv)) register(trace, contextOf);
    return trace;
  },
  nbic: async () => standAlone((await import('./nbic/nbic.ts')).registerNbic, contextOf),
  'trace-files': async () =>
    standAlone((await import('./nbic/trace-files.ts')).registerTraceFiles, contextOf),
  'cpio-list': async () =>
    standAlone((await import('./image/list.ts')).registerImageList, contextOf).name('cpio-list'),
  nd: async () =>
    standAlone((await import('./commands/shell.ts')).registerShell, contextOf).name('nd'),
};

/** Gives a command and those below it the global options, so that they may stand anywhere. */
function prepare(command: Command, visible: boolean): void {
  for (const [flags, text] of GLOBAL_OPTIONS) {
    const option = new Option(flags, text);
    command.addOption(visible ? option : option.hideHelp());
  }
  if (!visible)
    command.addHelpText('after', '\nThe options of trace itself may stand here too: trace --help');
  command
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => writeAll(1, Buffer.from(text)),
      writeErr: () => undefined,
    })
    .exitOverride();
  for (const below of command.commands) prepare(below, false);
}

function explained(error: unknown, program: string): TraceError {
  if (error instanceof TraceError) return error;
  if (error instanceof CommanderError && error.code === 'commander.help')
    return new TraceError({
      code: 'usage-missing-command',
      message: 'a command is missing after this word',
      hint: '--help after it lists them',
      exit: 'usage',
    });
  if (error instanceof CommanderError) {
    const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
    const help =
      error.code === 'commander.unknownCommand' ? `see \`${program} --help\`` : HELP_HINT;
    return new TraceError({
      code: error.code.replace('commander.', 'usage-').toLowerCase(),
      message: first,
      hint: rest.join(' ').replace(/[()]/g, '').trim() || help,
      exit: 'usage',
    });
  }
  const cause = error as Error;
  return new TraceError({
    code: 'internal',
    message: `unexpected: ${cause.stack ?? String(error)}`,
    hint: 'this is a bug; what was recorded is safe',
    exit: 'bug',
    cause,
  });
}

/** Runs a program of that name; the exit code is the process's. */
export async function main(name: string, argv: readonly string[]): Promise<void> {
  const program = await PROGRAMS[name]?.(argv);
  if (program === undefined) throw new RangeError(`there is no program ${name}`);
  program.version(version());
  prepare(program, name === 'trace');
  program.hook('preAction', (_, command) => checkArguments(command, argv));
  try {
    if (argv.length === 0) {
      program.outputHelp();
      process.exitCode = EXIT.usage;
      return;
    }
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return;
    const failure = explained(error, name);
    // Before anything is written: a reader that has gone ends the program there.
    process.exitCode = failure.exitCode;
    tell(failure, argv.includes('--json'));
  }
}

/** As text, too, if no JSON can be written; if nothing can, the exit code alone has it. */
function tell(failure: TraceError, json: boolean): void {
  try {
    new Output({ json }).fail(failure);
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    if (json) tell(failure, false);
  }
}
