/**
 * The second witness: each READ in the NFS server's trace has its file event from an nfsd thread,
 * and each such file event its READ. Owns one comparison a root and turns disagreement into loss.
 */
import { Witness } from '../attribution/witness.ts';
import type { LossUpdate } from '../store/types.ts';
import type { RootRecording } from './root-recording.ts';

/** Both sides of one read arrive within neighbouring slots of this length. */
const SLOT_US = 1_000_000;

const SHOWN_PATHS = 5;

export class WitnessBench {
  readonly #witnesses = new Map<RootRecording, Witness>();

  /** The trace holds a READ of this object. */
  trace(root: RootRecording, object: number, atUs: number): void {
    this.#of(root).trace(object, slotOf(atUs));
  }

  /** fanotify saw an nfsd thread read this object. */
  file(root: RootRecording, object: number, atUs: number): void {
    this.#of(root).file(object, slotOf(atUs));
  }

  /** Disagreements that can be judged by now; `final` judges all that is left. */
  judge(options: {
    readonly nowUs: number;
    readonly final: boolean;
    readonly toWall: (us: number) => number;
  }): LossUpdate[] {
    const losses: LossUpdate[] = [];
    for (const [root, witness] of this.#witnesses) {
      const found = witness.judge(slotOf(options.nowUs), { final: options.final });
      for (const missing of ['trace', 'file'] as const) {
        const these = found.filter((disagreement) => disagreement.missing === missing);
        if (these.length === 0) continue;
        const slots = these.map(({ flush }) => flush);
        losses.push({
          recordingId: root.options.recordingId,
          sessionId: null,
          where: missing === 'trace' ? 'witness-trace' : 'witness-fanotify',
          count: these.length,
          fromUs: options.toWall(Math.min(...slots) * SLOT_US),
          toUs: options.toWall((Math.max(...slots) + 1) * SLOT_US),
          detail: these
            .slice(0, SHOWN_PATHS)
            .map(({ objectId }) => root.pathOf(objectId).toString('utf8'))
            .join('\n'),
        });
      }
    }
    return losses;
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

function slotOf(us: number): number {
  return Math.floor(us / SLOT_US);
}
