/**
 * Lets the data of large files begin at multiples of a file system's block, so that an output on the
 * same file system can share their blocks. Owns the rule, which depends on nothing but the entries:
 * the bytes are the same where nothing can be shared.
 *
 * The format pads data to 4 bytes and no more, so the name before it gets more NULs, up to the 4096
 * bytes that the kernel takes for a name. `gen_init_cpio -a` (Linux 6.18) and dracut-cpio do the same.
 */
import { hasData, recordLength, recordName } from './archive.ts';
import { headerLength, MAX_NAME_BYTES } from './cpio.ts';
import type { PlanEntry } from './plan-types.ts';

const ALIGNMENT = 4096;
/** Of smaller files the padding costs more than what sharing saves. */
export const ALIGNED_LEAST = 64 << 10;

/**
 * Entries in their order, of an archive that begins at `start`. A file stays where it is if the
 * padding would make its name too long.
 */
export function alignEntries(entries: readonly PlanEntry[], start: number): PlanEntry[] {
  let at = start;
  return entries.map((entry) => {
    const padding = paddingFor(entry, at);
    const aligned = padding > 0 ? { ...entry, namePadding: padding } : entry;
    at += recordLength(aligned);
    return aligned;
  });
}

function paddingFor(entry: PlanEntry, at: number): number {
  if (!hasData(entry) || entry.size < ALIGNED_LEAST) return 0;
  const name = recordName(entry).length;
  const padding = -(at + headerLength(name)) & (ALIGNMENT - 1);
  return name + padding < MAX_NAME_BYTES ? padding : 0;
}
