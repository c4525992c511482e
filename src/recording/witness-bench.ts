/**
 * The second witness: each READ in the NFS server's trace has its file event from an nfsd thread,
 * and each such file event its READ. Owns one comparison a root and turns disagreement into loss.
 */
import { Witness } from '../attribution/witness.ts';
import type { LossUpdate } from '../store/types.ts';
import { nowUs } from './clock.ts';
import type { RootRecording } from './root-recording.ts';

const SHOWN_PATHS = 5;
const GONE = 'a file that has gone';

export class WitnessBench {
  readonly #witnesses = new Map<RootRecording, Witness>();
  /** Monotonic time of each flush that is not judged yet, microseconds. */
  readonly #times = new Map<number, number>();
  #flush = 0;

  /** A new flush begins. */
  next(atUs: number): void {
    this.#flush += 1;
    this.#times.set(this.#flush, atUs);
  }

  /**
   * The trace holds a READ of this object that moved bytes.
   * @param excused perhaps before its file system was watched
   */
  trace(root: RootRecording, object: number, excused = false): void {
    this.#of(root).trace(object, this.#flush, excused);
  }

  /** fanotify saw an nfsd thread read this object. */
  file(root: RootRecording, object: number): void {
    this.#of(root).file(object, this.#flush);
  }

  /** Would the next flush find something to judge? Then both queues must be drained first. */
  get suspicious(): boolean {
    return [...this.#witnesses.values()].some((witness) => witness.unmatched(this.#flush - 1));
  }

  /**
   * Disagreements of all flushes before this one.
   * @param toWall monotonic to wall-clock microseconds
   */
  judge(toWall: (us: number) => number): LossUpdate[] {
    const losses: LossUpdate[] = [];
    for (const [root, witness] of this.#witnesses) {
      const found = witness.judge(this.#flush - 1);
      for (const missing of ['trace', 'file'] as const) {
        const these = found.filter((disagreement) => disagreement.missing === missing);
        if (these.length === 0) continue;
        const flushes = new Set(these.map(({ flush }) => flush));
        const times = [...flushes].map((flush) => this.#times.get(flush) ?? nowUs());
        losses.push({
          recordingId: root.options.recordingId,
          sessionId: null,
          where: missing === 'trace' ? 'witness-trace' : 'witness-fanotify',
          count: these.length,
          fromUs: toWall(Math.min(...times)),
          toUs: toWall(Math.max(...times)),
          detail: these
            .slice(0, SHOWN_PATHS)
            .map(({ objectId }) => nameOf(root, objectId))
            .join('\n'),
        });
      }
    }
    for (const flush of this.#times.keys()) if (flush < this.#flush) this.#times.delete(flush);
    return losses;
  }

  /** Nobody judges: there is one witness only. */
  discard(): void {
    this.#witnesses.clear();
    this.#times.clear();
  }

  forget(root: RootRecording): void {
    this.#witnesses.delete(root);
  }

  #of(root: RootRecording): Witness {
    let witness = this.#witnesses.get(root);
    if (witness === undefined) this.#witnesses.set(root, (witness = new Witness()));
    return witness;
  }
}

/** The flushes of a comparison may be some apart: an object may have been pruned meanwhile. */
function nameOf(root: RootRecording, object: number): string {
  try {
    return root.pathOf(object).toString('utf8');
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return GONE;
  }
}
