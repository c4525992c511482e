/**
 * `trace prepare`: what only root may do for a daemon that runs without root. systemd runs it
 * before the daemon, and with `--undo` after it.
 */
import type { Command } from 'commander';
import { createProbe, PREPARED_PROBE, removeProbe, whyNoProbe } from '../../capture/fh-probe.ts';
import { findTracefs } from '../../capture/nfsd-probe.ts';
import { TraceError } from '../../common/errors.ts';
import type { Register } from '../commands.ts';

export const registerPrepare: Register = (program, context) => {
  program
    .command('prepare')
    .description('create the kernel probe for a daemon that runs without root (as root)')
    .option('--undo', 'remove it')
    .action((options: { undo?: boolean }, command: Command) => {
      const { output } = context(command);
      const kprobe = options.undo === true ? undo() : prepare();
      output.value({ kprobe });
      output.line(`kprobe event on fh_verify: ${kprobe}`);
    });
};

/** `unavailable`: this kernel has no kprobe events, and needs none if it has nfsd_fh_verify. */
function prepare(): 'there' | 'unavailable' {
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

function undo(): 'removed' | 'absent' {
  const tracefs = findTracefs();
  if (tracefs === null) return 'absent';
  const outcome = removeProbe(tracefs, PREPARED_PROBE);
  if (outcome === 'removed' || outcome === 'absent') return outcome;
  throw new TraceError({
    code: `kprobe-${outcome}`,
    message: `cannot remove the kprobe event on fh_verify: ${outcome === 'busy' ? 'a daemon reads it' : (whyNoProbe(tracefs) ?? 'the kernel refuses')}`,
    hint: outcome === 'busy' ? 'stop the daemon first' : 'run it as root',
    exit: outcome === 'busy' ? 'busy' : 'permission',
  });
}
