/**
 * What goes on, in one line for `systemctl status`. Owns its words. Pure.
 */
import type { RecorderStatus } from '../recording/recorder.ts';

export function statusLine(status: RecorderStatus): string {
  const { recordings, tier, nfsd, untraced, failure, uncommitted } = status;
  const running = recordings.filter(({ waiting }) => waiting === null);
  const walking = running.filter((one) => one.walking).length;
  const waiting = recordings.filter((one) => one.waiting !== null);
  const parts = [
    recordings.length === 0
      ? 'nothing is being recorded'
      : `recording ${running.length} of ${recordings.length} roots at tier ${tier}`,
    ...(untraced === null && nfsd.state === 'waiting'
      ? ["waiting for the kernel's NFS server"]
      : []),
    ...(walking === 0 ? [] : [`${walking} are being listed`]),
    ...running.flatMap(({ path, unlisted }) =>
      unlisted === null ? [] : [`${path.toString()} could not be listed: ${unlisted}`],
    ),
    ...waiting.map(({ path, waiting: why }) => `${path.toString()} waits: ${why ?? ''}`),
    ...(failure === null ? [] : [`${uncommitted} commits wait: ${failure}`]),
  ];
  return parts.join('; ');
}
