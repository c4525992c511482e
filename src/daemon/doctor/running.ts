/** The daemon: does one run, at which tier, and does it get on? */
import { TraceError } from '../../common/errors.ts';
import { TIERS, type Tier } from '../../common/words.ts';
import type { StatusBody } from '../api.ts';
import { fail, ok, unseen, warn, type Finding } from './finding.ts';

/** What the daemon answered, or why it did not. */
export type Running = { readonly status: StatusBody } | { readonly error: TraceError };

export async function askDaemon(ask: () => Promise<StatusBody>): Promise<Running> {
  try {
    return { status: await ask() };
  } catch (error) {
    if (error instanceof TraceError) return { error };
    throw error;
  }
}

/**
 * @param options.best what the machine could do now
 * @param options.toRecord roots that the database says are to be recorded; null if it is not known
 */
export function daemonFinding(
  running: Running,
  { best, toRecord }: { readonly best: Tier | null; readonly toRecord: number | null },
): Finding {
  if ('error' in running) {
    const { code, message, hint = 'see its log' } = running.error;
    if (code === 'socket-permission') return unseen('daemon', "the daemon's socket");
    if (code !== 'daemon-not-running') return fail('daemon', message, hint);
    return toRecord !== null && toRecord > 0
      ? fail(
          'daemon',
          `none runs, but ${toRecord} roots are to be recorded`,
          'systemctl start nfsroot-trace, or `trace daemon`: what clients do now is lost',
        )
      : ok('daemon', 'none runs; nothing is to be recorded');
  }
  const { pid, version, tier, nfsd, failure, uncommitted, recordings } = running.status;
  const text = `pid ${pid}, version ${version}, tier ${tier}, ${recordings.length} roots recorded`;
  if (failure !== null)
    return fail(
      'daemon',
      `${text}; nothing reaches the database: ${failure}`,
      `${uncommitted} commits wait in its memory; make room before it ends`,
    );
  if (nfsd.state === 'waiting')
    return warn('daemon', `${text}; waiting for the NFS server's trace`, 'see nfsd and the tiers');
  return best !== null && TIERS.indexOf(tier as Tier) > TIERS.indexOf(best)
    ? warn(
        'daemon',
        `${text}, though ${best} is to be had`,
        'restart it: systemctl restart nfsroot-trace; without the service, `trace stop --daemon` and then `trace daemon`',
      )
    : ok('daemon', text);
}
