/**
 * What a changed configuration means for a daemon that runs. Owns which keys take effect at once.
 * Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Config } from './config.ts';

/** The others belong to things that are opened at the start. */
const AT_ONCE = ['flushMs', 'quietMinutes', 'serverPorts'] as const satisfies (keyof Config)[];

export interface Reload {
  /** What holds from now on: new where that is possible, else as it was. */
  readonly config: Config;
  /** Keys that changed and hold now. */
  readonly changed: readonly string[];
  /** Keys that changed and wait for a restart. */
  readonly waiting: readonly string[];
}

export function reload(old: Config, fresh: Config): Reload {
  const keys = Object.keys({ ...old, ...fresh }) as (keyof Config)[];
  const changed = keys.filter((key) => !isDeepStrictEqual(old[key], fresh[key]));
  const now = changed.filter((key) => (AT_ONCE as readonly string[]).includes(key));
  return {
    config: { ...old, ...Object.fromEntries(now.map((key) => [key, fresh[key]])) },
    changed: now,
    waiting: changed.filter((key) => !now.includes(key)),
  };
}

/** In words for the log and the service manager. */
export function describeReload({ changed, waiting }: Reload): string {
  if (changed.length === 0 && waiting.length === 0) return 'configuration read again: no change';
  const parts = [
    ...(changed.length > 0 ? [`changed: ${changed.join(', ')}`] : []),
    ...(waiting.length > 0 ? [`needs a restart: ${waiting.join(', ')}`] : []),
  ];
  return `configuration read again; ${parts.join('; ')}`;
}
