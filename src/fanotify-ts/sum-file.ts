/** The face of the native sum over an open file. Must not know what it is compared with. */
import { addon } from './binding.ts';

/**
 * XXH64 of `before` and the first `length` bytes of the file, computed on a worker thread; the file
 * stays open until then. Finds damage, and nobody's intent. Throws system errors, ENODATA for a
 * shorter file.
 */
export const sumFile = addon['sumFile'] as (
  fd: number,
  length: number,
  before: Buffer,
) => Promise<bigint>;
