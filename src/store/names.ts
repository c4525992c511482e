/**
 * Which of a file's names belong to a session: those that held at some time between the session's
 * first access to the file and its end. Names that came later, or went before, never do, so the
 * list of a closed session stays what it is. Pure.
 */
import { compareBytes } from '../common/bytes.ts';

interface NameSpan {
  readonly fileId: number;
  readonly path: Buffer;
  readonly since: number;
  /** null = still holds. */
  readonly until: number | null;
  readonly firstBatch: number;
  readonly lastBatch: number;
}

export class NamesOfSession {
  readonly #byFile = new Map<number, Buffer[]>();

  constructor(spans: readonly NameSpan[]) {
    const byFile = new Map<number, NameSpan[]>();
    for (const span of spans) {
      const others = byFile.get(span.fileId);
      if (others === undefined) byFile.set(span.fileId, [span]);
      else others.push(span);
    }
    for (const [fileId, all] of byFile) this.#byFile.set(fileId, uniqueSorted(chosen(all)));
  }

  of(fileId: number): readonly Buffer[] {
    return this.#byFile.get(fileId) ?? [];
  }

  /** Every path once, bytewise order. */
  paths(): Buffer[] {
    return uniqueSorted([...this.#byFile.values()].flat());
  }
}

function chosen(spans: readonly NameSpan[]): Buffer[] {
  const holding = spans.filter(
    ({ since, until, firstBatch, lastBatch }) =>
      since <= lastBatch && (until === null || until >= firstBatch),
  );
  if (holding.length > 0) return holding.map(({ path }) => path);
  // Read and then deleted, and the deletion came through first: the last names that it had.
  const lost = Math.max(...spans.map(({ until, firstBatch }) => lostBefore(until, firstBatch)));
  return spans.filter(({ until }) => until === lost).map(({ path }) => path);
}

function lostBefore(until: number | null, firstBatch: number): number {
  return until !== null && until < firstBatch ? until : -Infinity;
}

function uniqueSorted(paths: Buffer[]): Buffer[] {
  if (paths.length < 2) return paths;
  const sorted = [...paths].sort(compareBytes);
  return sorted.filter((path, index) => index === 0 || !path.equals(sorted[index - 1] ?? path));
}
