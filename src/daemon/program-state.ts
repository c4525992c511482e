/**
 * Which program this is, so that what another build of it has found out is not believed. Owns what
 * tells: a build or an installation makes all files anew, so two of them stand for all; but the parts
 * of the generated inits are read as they lie in the sources.
 */
import { statSync } from 'node:fs';
import { ADDON } from '../fanotify-ts/binding.ts';
import { INIT_FILES } from '../image/init-scripts.ts';

export function programState(): string {
  const files = [ADDON, import.meta.filename, ...INIT_FILES].map((path) => {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return [String(path), dev, ino, size, mtimeNs, ctimeNs].join(' ');
  });
  return [process.version, ...files].join('\n');
}
