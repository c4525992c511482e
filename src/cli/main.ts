/**
 * The command line: global options, the list of commands, and the one place where a failure
 * becomes a message, a hint and an exit code.
 */
import { Command, CommanderError, Option } from 'commander';
import { EXIT, TraceError } from '../common/errors.ts';
import { commandsFor, type Register } from './commands.ts';
import { Context, type GlobalOptions } from './context.ts';
import { Output, writeAll } from './output.ts';
import { version } from './version.ts';

const GLOBAL_OPTIONS = [
  ['--json', 'print results as JSON'],
  ['--state-dir <dir>', 'folder of the database (default /var/lib/nfsroot-trace)'],
  ['--socket <path>', 'control socket (default /run/nfsroot-trace/control.sock)'],
  ['--db <file>', 'read this database instead of the one in the state folder'],
] as const;

/** A command line of ours; commander's own messages are caught and told our way. */
function program(commands: readonly Register[]): Command {
  const trace = new Command('trace')
    .description(
      'Records which files each diskless client of an NFS root really used, and builds a small RAM image from them.',
    )
    .version(version());
  for (const register of commands)
    register(trace, (command) => new Context(command.optsWithGlobals<GlobalOptions>()));
  prepare(trace, true);
  return trace;
}

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

function explained(error: unknown): TraceError {
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
    return new TraceError({
      code: error.code.replace('commander.', 'usage-').toLowerCase(),
      message: first,
      hint: rest.join(' ').replace(/[()]/g, '').trim() || 'see `trace --help`',
      exit: 'usage',
    });
  }
  const cause = error as Error;
  return new TraceError({
    code: 'internal',
    message: `unexpected: ${cause.stack ?? String(error)}`,
    hint: 'this is a bug in trace; what was recorded is safe',
    exit: 'bug',
    cause,
  });
}

async function main(argv: readonly string[]): Promise<number> {
  const trace = program(await commandsFor(argv));
  try {
    if (argv.length === 0) {
      trace.outputHelp();
      return EXIT.usage;
    }
    await trace.parseAsync([...argv], { from: 'user' });
    return typeof process.exitCode === 'number' ? process.exitCode : EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
    const failure = explained(error);
    // Before anything is written: a reader that has gone ends the program there.
    process.exitCode = failure.exitCode;
    new Output({ json: argv.includes('--json') }).fail(failure);
    return failure.exitCode;
  }
}

process.exitCode = await main(process.argv.slice(2));
