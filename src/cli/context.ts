/**
 * What every command is given: where things are, how to speak, how to reach the daemon.
 * Owns the reading of the global options.
 */
import { resolve } from 'node:path';
import type { Store } from '../store/store.ts';
import { configuredPlaces } from '../daemon/config-file.ts';
import {
  databasePath,
  SOCKET_VARIABLE,
  STATE_DIR_VARIABLE,
  type Places,
  usualContentDir,
} from '../daemon/places.ts';
import { ControlClient } from '../daemon/control-client.ts';
import { Output } from './output.ts';

export interface GlobalOptions {
  readonly json?: boolean;
  readonly stateDir?: string;
  readonly socket?: string;
  readonly db?: string;
}

export class Context {
  readonly output: Output;
  /** Is it the database of the daemon that `client` reaches? */
  readonly ownDatabase: boolean;
  readonly #options: GlobalOptions;
  #places: Places | undefined;
  #client: ControlClient | undefined;

  constructor(options: GlobalOptions) {
    this.output = new Output({ json: options.json === true });
    this.ownDatabase = options.db === undefined;
    this.#options = options;
  }

  /** Only for those who ask: a command that looks into an image has nothing to do with a daemon. */
  get places(): Places {
    return (this.#places ??= placesOf(this.#options));
  }

  get database(): string {
    return this.#options.db ?? databasePath(this.places);
  }

  get client(): ControlClient {
    return (this.#client ??= new ControlClient({ socket: this.places.socket }));
  }

  /** Runs `read` on the database, opened read-only; no daemon is needed. */
  async withStore<T>(read: (store: Store) => T | Promise<T>): Promise<T> {
    const { Store } = await import('../store/store.ts');
    const store = Store.open({ path: this.database, readOnly: true });
    try {
      return await read(store);
    } finally {
      store.close();
    }
  }
}

/** The option, else the environment, else the daemon's configuration: read only if it is needed. */
function placesOf(options: GlobalOptions): Places {
  const stateDir = options.stateDir ?? process.env[STATE_DIR_VARIABLE];
  const socket = options.socket ?? process.env[SOCKET_VARIABLE];
  if (stateDir !== undefined && socket !== undefined)
    return {
      stateDir: resolve(stateDir),
      socket: resolve(socket),
      contentDir: usualContentDir({ stateDir: resolve(stateDir) }),
    };
  const usual = configuredPlaces();
  return {
    stateDir: resolve(stateDir ?? usual.stateDir),
    socket: resolve(socket ?? usual.socket),
    contentDir:
      stateDir === undefined ? usual.contentDir : usualContentDir({ stateDir: resolve(stateDir) }),
  };
}
