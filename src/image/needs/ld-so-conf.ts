/**
 * The directories of a root's /etc/ld.so.conf, as ldconfig(8) reads it: one a line, `#` begins a
 * comment, `include` takes patterns. Owns that format. At run time ld.so has them from
 * /etc/ld.so.cache, which ldconfig made.
 */
import { parentOf } from '../resolve.ts';
import type { RootFiles } from './root-files.ts';

const MOST_DIRECTORIES = 1000;
const MOST_FILES = 1000;

/** Absolute, in the order of the files; each file once, so that a cycle ends. */
export function ldSoConf(files: RootFiles): readonly string[] {
  const found = new Set<string>();
  const seen = new Set<string>();
  const read = (name: string): void => {
    const file = files.file(name);
    if (file === null || seen.has(file)) return;
    if (seen.size >= MOST_FILES || found.size >= MOST_DIRECTORIES) {
      files.skip(file, 'one of too many configuration files');
      return;
    }
    seen.add(file);
    for (const line of files.lines(file)) {
      const text = (line.split('#')[0] ?? '').trim();
      const [word = '', ...patterns] = text.split(/[ \t]+/);
      if (word === 'include')
        for (const pattern of patterns)
          for (const path of files.glob(
            pattern.startsWith('/') ? pattern : `${parentOf(name)}/${pattern}`,
          ))
            read(path);
      // `hwcap N NAME` is of old versions; `DIRECTORY=TYPE` too.
      else if (word.startsWith('/')) found.add(text.replace(/=[a-z0-9]+$/, ''));
    }
  };
  read('/etc/ld.so.conf');
  return [...found].slice(0, MOST_DIRECTORIES);
}
