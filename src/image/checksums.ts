/**
 * The checksums of the `070702` variant, which stand before the data that they are of: they are
 * put into headers that are made already. Must not read files.
 */
import { ARCHIVE_FILE_FIELDS } from '../fanotify-ts/archive-content.ts';
import type { EncodedArchive } from './archive.ts';
import { CHECKSUM_START, HEADER_BYTES, writeDigits } from './cpio.ts';

/** @param sums one for each file of the archive, in their order */
export function addChecksums({ head, files }: EncodedArchive, sums: Uint32Array): void {
  sums.forEach((sum, index) => {
    const name = files[index * ARCHIVE_FILE_FIELDS + 1] ?? 0;
    writeDigits(head, name - HEADER_BYTES + CHECKSUM_START, sum);
  });
}
