/**
 * The commands, in the order in which help shows them. A new command is a new file and a line here.
 * Each is loaded when the command line names it: all of them together cost as much time as the
 * start of Node does.
 */
import type { Command } from 'commander';
import type { Context } from './context.ts';

/** Adds one command to the program; `context` gives its surroundings when it runs. */
export type Register = (program: Command, context: (command: Command) => Context) => void;

/** Given the rest of the line, of which a command may load only what is asked for. */
type Load = (rest: readonly string[]) => Promise<Register>;

const COMMANDS: ReadonlyMap<string, Load> = new Map(
  Object.entries<Load>({
    start: async () => (await import('./commands/start.ts')).registerStart,
    stop: async () => (await import('./commands/stop.ts')).registerStop,
    status: async () => (await import('./commands/status.ts')).registerStatus,
    watch: async () => (await import('./commands/watch.ts')).registerWatch,
    import: async () => (await import('./commands/import.ts')).registerImport,
    sessions: async () => (await import('./commands/sessions.ts')).registerSessions,
    show: async () => (await import('./commands/show.ts')).registerShow,
    files: async () => (await import('./commands/files.ts')).registerFiles,
    list: async () => (await import('./commands/list.ts')).registerList,
    export: async () => (await import('./commands/export.ts')).registerExport,
    snapshot: async () => (await import('./commands/snapshot.ts')).registerSnapshot,
    content: async () => (await import('./commands/content.ts')).registerContent,
    image: async (rest) => (await import('./commands/image.ts')).imageCommand(rest),
    run: async () => (await import('./commands/run.ts')).registerRun,
    shell: async () => (await import('./commands/shell.ts')).registerShell,
    mark: async () => (await import('./commands/mark.ts')).registerMark,
    session: async () => (await import('./commands/session.ts')).registerSession,
    client: async () => (await import('./commands/client.ts')).registerClient,
    doctor: async () => (await import('./commands/doctor.ts')).registerDoctor,
    daemon: async () => (await import('./commands/daemon.ts')).registerDaemon,
    prepare: async () => (await import('./commands/prepare.ts')).registerPrepare,
  }),
);

/** The one that the command line begins with; else (help, a misspelt name, options first) all. */
export async function commandsFor([first = '', ...rest]: readonly string[]): Promise<
  readonly Register[]
> {
  const named = COMMANDS.get(first);
  if (named !== undefined) return [await named(rest)];
  return Promise.all([...COMMANDS.values()].map((load) => load([])));
}
