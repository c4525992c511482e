/**
 * Runs a command in a root and gives what it uses to the daemon as a session. Owns the order of
 * things, what the person is told, and the exit status. Must not know namespaces.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { LocalRun, type LocalEnd, type LocalWorld } from '../capture/local/local-run.ts';
import { EXIT, TraceError } from '../common/errors.ts';
import type { GivenStream } from '../daemon/given-stream-client.ts';
import type { Context } from './context.ts';
import type { Output } from './output.ts';
import { withDaemon } from './with-daemon.ts';

export interface LocalCommand {
  readonly root: Buffer;
  /** Empty: the root's own way in. */
  readonly command: readonly string[];
  readonly label: string | null;
}

/** How often the daemon gets what was used; a session that is killed lacks no more than that. */
const GIVE_MS = 500;
/** As many rows at once: all of a long run in one text may be more than a string can have. */
const GIVE_ROWS = 4096;

/** What the daemon made of the rows. */
type GivenCounts = Awaited<ReturnType<GivenStream['end']>>;

/** What became of a run; the JSON of `trace run`. */
export interface RunOutcome {
  readonly session: string;
  /** The daemon has all of it. */
  readonly whole: boolean;
  /** The command's exit code. */
  readonly exit: number;
  /** Events that the kernel dropped, accesses in and files of what the command removed. */
  readonly lost: number;
  readonly gone: number;
  readonly removed: number;
  /** Reports of accesses that this process was too slow for. */
  readonly dropped: number;
  /** Null if the daemon has not all of it. */
  readonly rows: GivenCounts | null;
  /** The pid of the daemon that was started for it. */
  readonly daemon_started: number | null;
}

/** Sets this process's exit code to the command's. */
export async function runLocally(context: Context, options: LocalCommand): Promise<void> {
  const outcome = await recordRun(context, options);
  process.exitCode = !outcome.whole && outcome.exit === 0 ? EXIT.unavailable : outcome.exit;
  context.output.value(outcome);
}

/** Runs the command to its end, whatever that is. */
export async function recordRun(context: Context, options: LocalCommand): Promise<RunOutcome> {
  const { root, command, label } = options;
  const { client, output } = context;
  if (process.getuid?.() !== 0)
    throw new TraceError({
      code: 'not-root',
      message: 'only root can run a command in a root',
      hint: 'run it as root',
      exit: 'permission',
    });
  const run = new LocalRun({ root, command, env: environment() });
  try {
    tellWorld(output, await run.start());
    const opening = { root, giver: 'local', label } as const;
    const { answer: stream, started } = await whileThere(run, (signal) =>
      withDaemon(context, () => client.give(opening, signal)),
    );
    const { end, counts } = await give({ run, stream, output });
    if (counts !== null) output.say(`recorded ${stream.session}`);
    return {
      session: stream.session,
      whole: counts !== null,
      exit: end.code,
      lost: end.lost,
      gone: end.gone,
      removed: run.removed,
      dropped: end.dropped,
      rows: counts,
      daemon_started: started,
    };
  } finally {
    run.kill();
  }
}

/**
 * Waits for what comes before the command, but no longer than its world is there.
 * @throws what ended the world
 */
async function whileThere<T>(run: LocalRun, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const over = new AbortController();
  const gone = run.ended.then(() => Promise.reject(new Error('it ended before it began')));
  try {
    return await Promise.race([work(over.signal), gone]);
  } catch (error) {
    over.abort();
    throw error;
  }
}

interface Giving {
  readonly run: LocalRun;
  readonly stream: GivenStream;
  readonly output: Output;
}

/** Lets the command run, to its end. `counts`: null if the daemon has not all of it. */
async function give(giving: Giving): Promise<{ end: LocalEnd; counts: GivenCounts | null }> {
  const giver = new Giver(giving);
  try {
    passSignals(giving.run);
    giving.run.begin();
    const end = await giver.untilEnded();
    return { end, counts: await giver.end(end) };
  } catch (error) {
    if (error instanceof TraceError && error.code === 'command-failed') await giver.end(NOTHING);
    giver.leave();
    throw error;
  }
}

/** Of a command that never began: all that it did is in the session. */
const NOTHING = { lost: 0, gone: 0, dropped: 0 };

/** All that the command finds in its environment. */
function environment(): Record<string, string> {
  const { TERM } = process.env;
  return {
    HOME: '/root',
    LOGNAME: 'root',
    USER: 'root',
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ...(TERM === undefined ? {} : { TERM }),
  };
}

/**
 * While the command runs, what is sent to this process is for the command. What the terminal sends
 * by a key reaches the command without that, and must not end this process before it.
 */
function passSignals(run: LocalRun): void {
  const handlers = [
    ['SIGINT', () => undefined],
    ['SIGQUIT', () => undefined],
    ['SIGTERM', () => run.signal('SIGTERM')],
    ['SIGHUP', () => run.signal('SIGHUP')],
  ] as const;
  for (const [name, handler] of handlers) process.on(name, handler);
  const release = (): void => {
    for (const [name, handler] of handlers) process.off(name, handler);
  };
  run.ended.then(release, release);
}

function tellWorld(output: Output, { missing, unwatched }: LocalWorld): void {
  if (missing.length > 0)
    output.warn(
      `the root has no ${missing.map((path) => path.toString()).join(', no ')}`,
      'a command may need it: make it in the root, then run again',
    );
  for (const { path, why } of unwatched)
    output.warn(
      `what is used below ${path.toString()} is not recorded: ${why}`,
      'it is another file system, mounted in the root; unmount it, or copy it into the root',
    );
}

/** Hands rows over while the command runs, and says at once if that is not possible any more. */
class Giver {
  readonly #run: LocalRun;
  readonly #stream: GivenStream;
  readonly #output: Output;
  #whole = true;

  constructor({ run, stream, output }: Giving) {
    this.#run = run;
    this.#stream = stream;
    this.#output = output;
    const tell = (): void => this.#broke(this.#stream.broken.reason);
    if (this.#stream.broken.aborted) tell();
    else this.#stream.broken.addEventListener('abort', tell, { once: true });
  }

  async untilEnded(): Promise<LocalEnd> {
    const over = new AbortController();
    const end = (): void => over.abort();
    this.#run.ended.then(end, end);
    while (!over.signal.aborted) {
      await delay(GIVE_MS, undefined, { signal: over.signal }).catch(() => undefined);
      await this.#give({ atEnd: false });
    }
    await this.#give({ atEnd: true });
    return this.#run.ended;
  }

  /** What the daemon made of the rows; null if it has not all of them. */
  async end({ lost, gone, dropped }: Omit<LocalEnd, 'code'>): Promise<GivenCounts | null> {
    const say = (count: number, what: string): void => {
      if (count > 0) this.#output.say(`not in the session: ${count} ${what}`);
    };
    say(this.#run.removed, 'used files that the command removed');
    say(gone, 'accesses in directories that the command removed');
    if (lost > 0)
      this.#output.warn(
        `the kernel lost file events, ${lost} times`,
        'the session has a loss: run the command again on a machine that is less busy',
      );
    if (dropped > 0)
      this.#output.warn(
        `${dropped} accesses were not taken in time`,
        'the session has a loss: run the command again, and do not stop trace meanwhile',
      );
    if (!this.#whole) return null;
    const losses = [
      { where: 'fanotify-queue', count: lost, detail: null },
      { where: 'run-report', count: dropped, detail: null },
    ].filter(({ count }) => count > 0);
    try {
      const counts = await this.#stream.end(losses);
      say(counts.missing, 'used paths that were gone when the daemon looked');
      this.#tellSkipped(counts.skipped);
      return counts;
    } catch (error) {
      this.#broke(error);
      return null;
    }
  }

  /** Gives no more, and says nothing of that. Else the connection would keep this process. */
  leave(): void {
    this.#whole = false;
    this.#stream.abandon();
  }

  #tellSkipped(skipped: GivenCounts['skipped']): void {
    for (const [why, count] of Object.entries(skipped))
      if (count > 0)
        this.#output.warn(
          `not in the session: ${count} used paths: ${why}`,
          why === 'other-file-system'
            ? 'what is mounted below the root is recorded if it is exported with it; or copy it in'
            : 'see docs/local.md',
        );
  }

  async #give(when: { readonly atEnd: boolean }): Promise<void> {
    // Taken also when nobody wants it: it must not gather.
    const rows = this.#run.take(when);
    if (!this.#whole) return;
    try {
      for (let at = 0; at < rows.length; at += GIVE_ROWS)
        await this.#stream.rows(rows.slice(at, at + GIVE_ROWS));
    } catch (error) {
      this.#broke(error);
    }
  }

  #broke(error: unknown): void {
    if (!this.#whole) return;
    this.#whole = false;
    // Whatever broke: a connection that stays open would keep this process after its command.
    this.#stream.abandon();
    const why = error instanceof Error ? error.message : String(error);
    this.#output.warn(
      `recording stopped, the command goes on: ${why}`,
      `${this.#stream.session} ends here, with a loss; run the command again to record all of it`,
    );
  }
}
