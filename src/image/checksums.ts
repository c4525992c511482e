/**
 * The checksums of the `070702` variant, which stand before the data that they are of: they are
 * put into headers that are made already. Must not read files.
 */
import type { EncodedArchive } from './archive.ts';
import { writeDigits } from './cpio.ts';

/** @param sums one for each file of the archive, in their order */
export function addChecksums({ head, checksums }: EncodedArchive, sums: Uint32Array): void {
  checksums.forEach((at, index) => writeDigits(head, at, sums[index] ?? 0));
}
