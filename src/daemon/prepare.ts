/**
 * What only root may do for a daemon that runs without root: creates the kernel's probe, and removes
 * it. Owns the words for what came of it.
 */
import { createProbe, PREPARED_PROBE, removeProbe, whyNoProbe } from '../capture/fh-probe.ts';
import { findTracefs } from '../capture/nfsd-probe.ts';
import { TraceError } from '../common/errors.ts';

/**
 * `unavailable`: the nfsd module is not loaded, or this kernel has no kprobe events, and needs none
 * if it has nfsd_fh_verify.
 * @throws TraceError `no-tracefs`, `no-kprobe` (exit 77; 74 for what the kernel has no room for)
 */
export function prepare(): 'there' | 'unavailable' {
  const tracefs = findTracefs();
  if (tracefs === null)
    throw new TraceError({
      code: 'no-tracefs',
      message: 'tracefs is not mounted, or may not be read',
      hint: 'as root: mount -t tracefs tracefs /sys/kernel/tracing',
      exit: 'permission',
    });
  try {
    createProbe(tracefs, PREPARED_PROBE);
    return 'there';
  } catch (error) {
    if (error instanceof TraceError && error.exit === 'unavailable') return 'unavailable';
    throw error;
  }
}

/** @throws TraceError `kprobe-busy` (exit 75), `kprobe-kept` (exit 77) */
export function undoPrepare(): 'removed' | 'absent' {
  const tracefs = findTracefs();
  if (tracefs === null) return 'absent';
  const outcome = removeProbe(tracefs, PREPARED_PROBE);
  if (outcome === 'removed' || outcome === 'absent') return outcome;
  const busy = outcome === 'busy';
  const why = busy ? 'a daemon reads it' : (whyNoProbe(tracefs) ?? 'the kernel refuses');
  throw new TraceError({
    code: `kprobe-${outcome}`,
    message: `cannot remove the kprobe event on fh_verify: ${why}`,
    hint: busy ? 'stop the daemon first' : 'run it as root, where the kernel lets root',
    exit: busy ? 'busy' : 'permission',
  });
}
