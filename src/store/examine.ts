/**
 * Looks at a database's health without changing anything, in a process of its own: a damaged file,
 * a hanging disk or a check that takes minutes must not be the asker's end. Owns that process.
 */
import { spawn } from 'node:child_process';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Examined } from './examine-child.ts';

export interface Examination {
  /** What it says of itself; null if that could not be read, or not in time. */
  readonly found: Examined | null;
  /** What SQLite's quick_check complains of; null if it did not end in time. */
  readonly problems: readonly string[] | null;
  /** Why it could not be opened or read; null if it could. */
  readonly failure: string | null;
}

/** The same ending as this file: built or not. */
const CHILD = fileURLToPath(
  new URL(`./examine-child${extname(fileURLToPath(import.meta.url))}`, import.meta.url),
);

/** For the process to begin and to read the first pages: on a busy machine some seconds. */
const BEGIN_MS = 30_000;

/** @param limitMs for the check alone; then the process is killed, and what it had said counts */
export async function examineDatabase(path: string, limitMs: number): Promise<Examination> {
  const child = spawn(process.execPath, [CHILD, path], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const kill = (): void => void child.kill('SIGKILL');
  let timer = setTimeout(kill, BEGIN_MS);
  let found: Examined | null = null;
  let problems: readonly string[] | null = null;
  let failure: string | null = null;
  const ended = new Promise<string | null>((resolve) => {
    child.once('error', ({ message }) => resolve(message));
    child.once('close', (code, signal) =>
      // Out of time is no failure of the database.
      resolve(
        code === 0 || signal === 'SIGKILL' ? null : `the look at it ended with ${code ?? signal}`,
      ),
    );
  });
  for await (const line of createInterface(child.stdout)) {
    const told = JSON.parse(line) as
      { found: Examined } | { problems: readonly string[] } | { failure: string };
    if ('found' in told) {
      ({ found } = told);
      clearTimeout(timer);
      timer = setTimeout(kill, limitMs);
    } else if ('problems' in told) ({ problems } = told);
    else ({ failure } = told);
  }
  const end = await ended;
  clearTimeout(timer);
  return { found, problems, failure: failure ?? end };
}
