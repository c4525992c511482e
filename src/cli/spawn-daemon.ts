/**
 * Starts a daemon in the background when none answers. Owns its log file's opening and the wait
 * until it listens or has failed.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { EXIT, TraceError, type ExitName } from '../common/errors.ts';
import { makeFolders } from '../common/make-folders.ts';
import { Pace } from '../common/pace.ts';
import type { ControlClient } from '../daemon/control-client.ts';
import { SOCKET_VARIABLE, STATE_DIR_VARIABLE, type Places } from '../daemon/places.ts';
import { checkStateFolder } from '../daemon/state-folder.ts';
import { Patience } from './patience.ts';

const PATIENCE = { quietMs: 60_000, longestMs: 900_000 };

export interface SpawnOptions {
  readonly client: ControlClient;
  readonly places: Places;
}

/** The pid of the one that listens. */
type Found = number | 'ending' | 'nobody';

/** The new daemon's pid; null if one was listening already, or was just being started. */
export async function spawnDaemon({ client, places }: SpawnOptions): Promise<number | null> {
  const patience = new Patience(PATIENCE);
  const pace = new Pace();
  const looked = (): Promise<Found> => pace.look(() => look(client));
  for (let found = await looked(); found !== 'nobody'; found = await looked()) {
    if (typeof found === 'number') return null;
    await pause(patience, pace);
  }
  checkStateFolder(places.stateDir);
  const log = openLog(places.stateDir);
  try {
    const from = fstatSync(log).size;
    const child = launch(places, log);
    for (let found = await looked(); ; found = await looked()) {
      if (typeof found === 'number') {
        child.unref();
        return found === child.pid ? found : null;
      }
      // Someone else's daemon was quicker: that one will do.
      const beaten = child.exitCode === EXIT.busy && !patience.isOver;
      if (hasEnded(child) && !beaten) throw failure(log, from, child.exitCode ?? EXIT.bug);
      if (child.pid !== undefined) patience.watch(child.pid, log);
      try {
        await pause(patience, pace);
      } catch (error) {
        child.kill('SIGTERM');
        throw error;
      }
    }
  } finally {
    closeSync(log);
  }
}

function launch({ stateDir, socket }: Places, log: number): ChildProcess {
  const program = fileURLToPath(new URL('./bin.cjs', import.meta.url));
  return spawn(process.execPath, [...DAEMON_NODE_OPTIONS, program, 'daemon'], {
    detached: true,
    stdio: ['ignore', log, log],
    cwd: '/',
    env: { ...process.env, [STATE_DIR_VARIABLE]: stateDir, [SOCKET_VARIABLE]: socket },
  });
}

/**
 * Else Node lets garbage grow to a share of the machine's memory (600 MB where 230 do, on 24 GB).
 * What the recorder can hold at once stays far below the first.
 */
const DAEMON_NODE_OPTIONS = ['--max-old-space-size=1024', '--max-semi-space-size=2'];

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

async function pause(patience: Patience, pace: Pace): Promise<void> {
  if (patience.isOver)
    throw new TraceError({
      code: 'daemon-failed',
      message: 'the daemon does not answer',
      hint: 'see daemon.log in the state folder',
      exit: 'unavailable',
    });
  await pace.pause();
}

async function look(client: ControlClient): Promise<Found> {
  try {
    const { pid } = await client.status();
    return pid;
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    if (error.code === 'daemon-not-running') return 'nobody';
    if (error.code === 'daemon-ending' || error.code === 'daemon-connection') return 'ending';
    throw error;
  }
}

function openLog(stateDir: string): number {
  try {
    makeFolders(stateDir, 0o750);
    const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDWR } = constants;
    return openSync(`${stateDir}/daemon.log`, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0o640);
  } catch (cause) {
    throw new TraceError({
      code: 'state-dir',
      message: `cannot write in ${stateDir}: ${(cause as Error).message}`,
      hint: 'run it as root, or name another folder with --state-dir',
      exit: 'cannotCreate',
      cause,
    });
  }
}

/** What the daemon said last, as this command's own error. */
function failure(log: number, from: number, code: number): TraceError {
  const text = Buffer.alloc(Math.max(0, fstatSync(log).size - from));
  readSync(log, text, 0, text.length, from);
  const lines = text.toString('utf8').trim().split('\n');
  const said = lines.findLast((line) => line.startsWith('error: '))?.slice('error: '.length);
  const hint = lines.findLast((line) => line.startsWith('hint: '))?.slice('hint: '.length);
  const names = Object.keys(EXIT) as ExitName[];
  return new TraceError({
    code: 'daemon-failed',
    message: said ?? `the daemon did not start: ${lines.at(-1) ?? 'it said nothing'}`,
    exit: names.find((name) => EXIT[name] === code && code !== EXIT.ok) ?? 'unavailable',
    ...(hint === undefined ? { hint: 'see daemon.log in the state folder' } : { hint }),
  });
}
