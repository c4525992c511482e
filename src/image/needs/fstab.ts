/**
 * The rule for /etc/fstab: the mount points that it names. Over NFSv3 a client that only mounts on a
 * directory asks for its name and nothing else, of which no trace tells before Linux 6.16. Owns the
 * reading of that file (fstab(5)).
 */
import type { Draft } from '../closure.ts';
import type { RootFiles } from './root-files.ts';
import type { Rule } from './rule.ts';
import type { Taker } from './taker.ts';

export class Fstab implements Rule {
  readonly #files: RootFiles;
  readonly #taker: Taker;
  readonly #file: string | null;

  constructor(files: RootFiles, taker: Taker) {
    this.#files = files;
    this.#taker = taker;
    this.#file = files.file('/etc/fstab');
  }

  offer({ path }: Draft): void {
    if (path !== this.#file) return;
    for (const point of mountPoints(this.#files.lines(path)))
      this.#taker.take(point, { kind: 'named-by', about: path });
  }
}

/** Byte strings; what is not mounted anywhere (`none`, `swap`) is none. */
export function mountPoints(lines: readonly string[]): string[] {
  return lines
    .map((line) => line.trim())
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.split(/[ \t]+/)[1] ?? '')
    .filter((point) => point.startsWith('/'))
    .map((point) =>
      point.replace(/\\([0-7]{3})/g, (_, octal: string) =>
        String.fromCharCode(Number.parseInt(octal, 8) & 0xff),
      ),
    );
}
