/** What is mounted below a root, as one text: it is the same only if nothing came or went there. */
import { realpathSync } from 'node:fs';
import { MountTable, readMountinfo } from '../recording/mounts.ts';

export function mountsBelow(root: Buffer): string {
  const directory = realpathSync.native(root, 'buffer');
  return new MountTable(readMountinfo())
    .visibleBelow(directory)
    .map(({ id, device, at }) => `${id} ${device} ${at.toString('hex')}`)
    .join('\n');
}
