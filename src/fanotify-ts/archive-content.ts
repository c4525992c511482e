/**
 * What the archive writer is given. Owns the shape only, so that making it needs no addon.
 */

/** Numbers of one file record in {@link ArchiveContent.files}. */
export const ARCHIVE_FILE_FIELDS = 10;

/** Everything but the files' data, and where the data goes. */
export interface ArchiveContent {
  /** All bytes that are not file data, in their order. */
  readonly head: Buffer;
  /**
   * For each regular file with data, in order: bytes of `head` before its data, start and length
   * of its path within `names`, size, device, inode, mtime s, mtime ns, ctime s, ctime ns.
   * Data is padded with zeros to a multiple of 4.
   */
  readonly files: Float64Array;
  /** Paths of the files in the tree; `head` itself, where they are the same as in the archive. */
  readonly names?: Buffer | undefined;
}
