/** A full disk, made by filling one. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';

/** Takes the last byte that the file system of `path` has. */
export function fillUp(path: string): void {
  for (let size = 64 * 1024; size >= 1; size = Math.floor(size / 2))
    try {
      for (;;) writeFileSync(path, Buffer.alloc(size), { flag: 'a' });
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
    }
}
