/**
 * What every command is given: where things are, how to speak, how to reach the daemon.
 * Owns the reading of the global options.
 */
import { Store } from '../store/store.ts';
import { databasePath, loadConfig, type Config } from '../daemon/config.ts';
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
  readonly config: Config;
  readonly database: string;
  readonly client: ControlClient;

  constructor(options: GlobalOptions) {
    this.output = new Output({ json: options.json === true });
    this.config = loadConfig(undefined, {
      ...process.env,
      ...(options.stateDir === undefined ? {} : { NFSROOT_TRACE_STATE_DIR: options.stateDir }),
      ...(options.socket === undefined ? {} : { NFSROOT_TRACE_SOCKET: options.socket }),
    });
    this.database = options.db ?? databasePath(this.config);
    this.client = new ControlClient({ socket: this.config.socket });
  }

  /** Runs `read` on the database, opened read-only; no daemon is needed. */
  async withStore<T>(read: (store: Store) => T | Promise<T>): Promise<T> {
    const store = Store.open({ path: this.database, readOnly: true });
    try {
      return await read(store);
    } finally {
      store.close();
    }
  }
}
