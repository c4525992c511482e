/**
 * The configuration's file as it is written, for both sides of the socket: the daemon checks all of
 * it (config.ts), the command line takes the two places from it. Owns the usual file's name.
 */
import { readFileSync, statSync } from 'node:fs';
import { TraceError } from '../common/errors.ts';
import { DEFAULT_PLACES, type Places, usualContentDir } from './places.ts';

/** The configuration of a daemon that is given none, if it is there. */
const DEFAULT_CONFIG = '/etc/nfsroot-trace.json';

export function usualConfig(): string | undefined {
  return statSync(DEFAULT_CONFIG, { throwIfNoEntry: false }) === undefined
    ? undefined
    : DEFAULT_CONFIG;
}

/** @throws TraceError `bad-config` if it cannot be read, or is no JSON object */
export function readConfigFile(path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    const denied = (cause as NodeJS.ErrnoException).code === 'EACCES';
    throw new TraceError({
      code: 'bad-config',
      message: `cannot read the configuration ${path}: ${(cause as Error).message.replace(/, open '.*$/s, '')}`,
      hint: denied
        ? 'make it readable, or name both places with --state-dir and --socket'
        : 'it must be a JSON object; see docs/configuration.md',
      exit: 'config',
      cause,
    });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TraceError({
      code: 'bad-config',
      message: `the configuration ${path} is not a JSON object`,
      hint: 'see docs/configuration.md',
      exit: 'config',
    });
  return { ...value };
}

/**
 * Where the daemon with the usual configuration is. A guess would reach another one, or start it.
 * @throws TraceError `bad-config`
 */
export function configuredPlaces(path = usualConfig()): Places {
  const values = path === undefined ? {} : readConfigFile(path);
  const place = (key: keyof Places, usual: string): string => {
    const value = values[key] ?? usual;
    if (typeof value === 'string' && value.startsWith('/')) return value;
    throw new TraceError({
      code: 'bad-config',
      message: `${path ?? ''}: ${key}: is no absolute path`,
      hint: 'see docs/configuration.md',
      exit: 'config',
    });
  };
  const stateDir = place('stateDir', DEFAULT_PLACES.stateDir);
  return {
    stateDir,
    socket: place('socket', DEFAULT_PLACES.socket),
    contentDir: place('contentDir', usualContentDir({ stateDir })),
  };
}
