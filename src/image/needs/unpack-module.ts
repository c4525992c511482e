/**
 * The plain bytes of packed kernel modules. Owns how much is unpacked for one image. Must not know
 * what a module says, or run anything of the root: xz is the server's.
 */
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { TraceError } from '../../common/errors.ts';
import { type ProgramOptions, runProgramNow } from '../compress/program.ts';

export type Packing = 'gz' | 'xz' | 'zst';

export type Unpacked =
  | { readonly kind: 'plain'; readonly bytes: Buffer }
  | { readonly kind: 'bad'; readonly why: string }
  /** This server has not what unpacks it. */
  | { readonly kind: 'no-program'; readonly program: string };

/** The largest modules of all have some 30 MB; an archive that unpacks to more is none. */
export const MOST_MODULE = 128 * 1024 * 1024;
/** All that is unpacked for one image; a boot's modules come to 100 MB. */
const MOST_UNPACKED = 1024 * 1024 * 1024;
/** What a process takes (3 ms) as much as unpacking that many bytes: a root may have a million. */
const PROCESS_BYTES = 64 * 1024;
/** Modules are packed with dictionaries of 1 or 2 MiB; `xz -9` takes 64 to unpack. */
const XZ: ProgramOptions = {
  program: 'xz',
  args: ['--decompress', '--stdout', '--format=xz', '--threads=1', '--memlimit-decompress=128MiB'],
  package: 'xz-utils',
};

export class ModuleUnpacker {
  #left = MOST_UNPACKED;

  get isSpent(): boolean {
    return this.#left <= 0;
  }

  unpack(packed: Buffer, packing: Packing): Unpacked {
    try {
      const bytes = plainOf(packed, packing);
      this.#left -= bytes.length;
      return { kind: 'plain', bytes };
    } catch (error) {
      if (error instanceof TraceError && error.code === 'program-missing')
        return { kind: 'no-program', program: XZ.program };
      this.#left -= MOST_MODULE / 8;
      return { kind: 'bad', why: error instanceof Error ? error.message : '' };
    } finally {
      // Archives of nothing are read to their end all the same.
      this.#left -= packed.length + (packing === 'xz' ? PROCESS_BYTES : 0);
    }
  }
}

function plainOf(packed: Buffer, packing: Packing): Buffer {
  if (packing === 'xz') return runProgramNow(XZ, packed, MOST_MODULE);
  const unpack = packing === 'gz' ? gunzipSync : zstdDecompressSync;
  return unpack(packed, { maxOutputLength: MOST_MODULE });
}
