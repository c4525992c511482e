/** What `find -ls` writes: a path at the end of each line, escaped, and where a link leads. */
import { unescaped } from './escapes.ts';
import { NAMED, type ListReader, type Sink } from './use.ts';

/** `  4250744      0 lrwxrwxrwx   1 root     root            7 Nov 28 19:56 ./bin/sh -> busybox` */
const LINE =
  /^ *\d+ +\d+ ([-bcdlpsD])[-rwxsStT]{9}[.+@]? +\d+ +\S+ +\S+ +\d+(?:, *\d+)? +\w{3} +\d+ +(?:\d\d:\d\d|\d{4}) (.+)$/;

export class FindReader implements ListReader {
  readonly #sink: Sink;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  static matches(line: string): boolean {
    return LINE.test(line);
  }

  read(line: Buffer): void {
    if (line.length === 0) return;
    const [, type, rest] = LINE.exec(line.toString('latin1')) ?? [];
    if (rest === undefined) {
      this.#sink.refuse('not-understood');
      return;
    }
    // A blank in a name is escaped: the arrow is the first that is not.
    const path = unescaped(type === 'l' ? (rest.split(' -> ')[0] ?? rest) : rest);
    this.#sink.use({ path, ...NAMED });
  }

  end(): void {
    // Every line was whole.
  }
}
