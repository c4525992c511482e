/**
 * The second witness: each READ in the NFS server's trace has its file event from an nfsd thread,
 * and each such file event its READ. Owns one comparison a root and turns disagreement into loss.
 */
import { Witness } from '../attribution/witness.ts';
import type { LossUpdate } from '../store/types.ts';
import type { RootRecording } from './root-recording.ts';

const SHOWN_PATHS = 5;

export class WitnessBench {
  readonly #witnesses = new Map<RootRecording, Witness>();
  /** Wall-clock time of each flush that is not judged yet, microseconds. */
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

  /** Disagreements of all flushes before this one. */
  judge(): LossUpdate[] {
    const losses: LossUpdate[] = [];
    for (const [root, witness] of this.#witnesses) {
      const found = witness.judge(this.#flush - 1);
      for (const missing of ['trace', 'file'] as const) {
        const these = found.filter((disagreement) => disagreement.missing === missing);
        if (these.length === 0) continue;
        const times = these.map(({ flush }) => this.#times.get(flush) ?? 0);
        losses.push({
          recordingId: root.options.recordingId,
          sessionId: null,
          where: missing === 'trace' ? 'witness-trace' : 'witness-fanotify',
          count: these.length,
          fromUs: times.reduce((least, one) => Math.min(least, one)),
          toUs: times.reduce((most, one) => Math.max(most, one)),
          detail: these
            .slice(0, SHOWN_PATHS)
            .map(({ objectId }) => root.pathOf(objectId).toString('utf8'))
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
