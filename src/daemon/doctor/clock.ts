/** The clocks: times of sessions come from the wall clock, spans from the monotonic one. */
import { setTimeout as delay } from 'node:timers/promises';
import { clockState, monotonicUs } from '../../fanotify-ts/system.ts';
import { fail, ok, warn, word, type Finding } from './finding.ts';

/** How long the clocks are watched, and how far they may part in that time. */
const WATCHED_MS = 50;
const MOST_PARTED_US = 20_000;
/** This program did not exist before. */
const EARLIEST_MS = Date.UTC(2024, 0, 1);
/** A database that was written later than now tells of a clock that was set back. */
const TOLERANCE_US = 5_000_000;
const SYNCHRONIZE = 'run chrony, ntpsec or systemd-timesyncd';

/** @param lastCommitUs wall clock of the database's last commit */
export async function clockFindings(lastCommitUs: number | null): Promise<Finding[]> {
  return [await monotonic(), wall(lastCommitUs)];
}

async function monotonic(): Promise<Finding> {
  const source = word('/sys/devices/system/clocksource/clocksource0/current_clocksource');
  const began = { monotonic: monotonicUs(), wall: Date.now() * 1000 };
  await delay(WATCHED_MS);
  const passed = monotonicUs() - began.monotonic;
  const parted = Math.abs(Date.now() * 1000 - began.wall - passed);
  const text = `it runs, by ${source ?? 'a source that cannot be read'}`;
  if (passed <= 0)
    return fail(
      'monotonic clock',
      'it does not go forward',
      'choose another clocksource; see dmesg',
    );
  return parted > MOST_PARTED_US
    ? warn(
        'monotonic clock',
        `it and the wall clock part by ${Math.round(parted / 1000)} ms in ${Math.round(passed / 1000)} ms`,
        'something sets the clock at this moment; ask again',
      )
    : ok('monotonic clock', text);
}

function wall(lastCommitUs: number | null): Finding {
  const now = new Date();
  const at = now.toISOString();
  if (now.getTime() < EARLIEST_MS)
    return warn('wall clock', `it says ${at}`, `set it; ${SYNCHRONIZE}`);
  if (lastCommitUs !== null && lastCommitUs > now.getTime() * 1000 + TOLERANCE_US)
    return warn(
      'wall clock',
      `it says ${at}, but the database was written at ${new Date(lastCommitUs / 1000).toISOString()}`,
      'it was set back: sessions from before and after seem to overlap',
    );
  try {
    const { synchronized, maxErrorUs, leapPending } = clockState();
    const leap = leapPending ? '; a leap second comes' : '';
    return synchronized
      ? ok('wall clock', `synchronised, error below ${Math.ceil(maxErrorUs / 1000)} ms${leap}`)
      : warn('wall clock', `it says ${at}; nothing keeps it right (adjtimex)${leap}`, SYNCHRONIZE);
  } catch {
    return warn(
      'wall clock',
      `it says ${at}; whether something keeps it right cannot be asked here`,
      'look outside of the container or sandbox',
    );
  }
}
