/**
 * The commands, in the order in which help shows them. A new command is a new file and a line here.
 */
import type { Command } from 'commander';
import type { Context } from './context.ts';
import { registerClient } from './commands/client.ts';
import { registerDaemon } from './commands/daemon.ts';
import { registerDoctor } from './commands/doctor.ts';
import { registerExport } from './commands/export.ts';
import { registerFiles } from './commands/files.ts';
import { registerList } from './commands/list.ts';
import { registerMark } from './commands/mark.ts';
import { registerPrepare } from './commands/prepare.ts';
import { registerSession } from './commands/session.ts';
import { registerSessions } from './commands/sessions.ts';
import { registerShow } from './commands/show.ts';
import { registerStart } from './commands/start.ts';
import { registerStatus } from './commands/status.ts';
import { registerStop } from './commands/stop.ts';
import { registerWatch } from './commands/watch.ts';

/** Adds one command to the program; `context` gives its surroundings when it runs. */
export type Register = (program: Command, context: (command: Command) => Context) => void;

export const commands: readonly Register[] = [
  registerStart,
  registerStop,
  registerStatus,
  registerWatch,
  registerSessions,
  registerShow,
  registerFiles,
  registerList,
  registerExport,
  registerMark,
  registerSession,
  registerClient,
  registerDoctor,
  registerDaemon,
  registerPrepare,
];
