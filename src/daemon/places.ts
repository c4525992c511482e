/**
 * Where the daemon keeps its things, as both sides of the socket must know it.
 * Owns the well-known paths and the environment variables that move them.
 */
export interface Places {
  /** Folder of the database and the log. */
  readonly stateDir: string;
  /** Unix socket that the command line talks to. */
  readonly socket: string;
  /** Folder of kept content. */
  readonly contentDir: string;
}

export const STATE_DIR_VARIABLE = 'NFSROOT_TRACE_STATE_DIR';
export const SOCKET_VARIABLE = 'NFSROOT_TRACE_SOCKET';

export const DEFAULT_PLACES: Pick<Places, 'stateDir' | 'socket'> = {
  stateDir: '/var/lib/nfsroot-trace',
  socket: '/run/nfsroot-trace/control.sock',
};

/** Where content is kept unless another place is named. */
export function usualContentDir({ stateDir }: Pick<Places, 'stateDir'>): string {
  return `${stateDir}/content`;
}

/** The database of a state folder. */
export function databasePath({ stateDir }: Pick<Places, 'stateDir'>): string {
  return `${stateDir}/trace.db`;
}
