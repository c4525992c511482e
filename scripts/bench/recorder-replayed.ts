/**
 * The recorder with its real index, pipe, attribution and store, fed with made-up rows of an NFS
 * server's trace: CLIENTS clients that each use FILES files of a root. Prints one line of JSON.
 * Run compiled, as the daemon is: types stripped at run time would cost 20 MiB of its memory.
 *
 *     node recorder-replayed.mjs ROOT HASHES DATABASE CLIENTS FILES    HASHES: u32 of each file
 */
import * as fs from 'node:fs';
import process from 'node:process';
import { ReplaySensors } from '../../src/capture/replay-source.ts';
import type { FileBatch, NfsBatch, NfsRow } from '../../src/common/batches.ts';
import { nowUs } from '../../src/recording/clock.ts';
import { Recorder } from '../../src/recording/recorder.ts';
import { Store } from '../../src/store/store.ts';
// What the daemon has in memory besides.
import '../../src/daemon/daemon.ts';

const [root = '', hashFile = '', database = '', clients = '', files = ''] = process.argv.slice(2);
const [CLIENTS, FILES] = [Number(clients), Number(files)];
/** A flush's worth: what the sensor's table holds is 65,536. */
const BATCH = 50_000;

const bytes = fs.readFileSync(hashFile);
const hashes = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);

/** The trace of every client using each of its files once; round after round. */
class MadeUpTrace extends ReplaySensors {
  #next = CLIENTS * FILES;

  override drainTrace(): NfsBatch {
    const rows: NfsRow[] = [];
    const atUs = nowUs();
    const end = Math.min(this.#next + BATCH, CLIENTS * FILES);
    for (; this.#next < end; this.#next += 1) {
      const client = this.#next % CLIENTS;
      const file = Math.floor(this.#next / CLIENTS);
      rows.push({
        epoch: 0,
        client: `10.1.${client >> 8}.${client & 255}`,
        // 7,919 is prime to the number of files: every client has its own, all over the root.
        hash: hashes[(client * 131 + file * 7919) % hashes.length] ?? 0,
        // A check that asks to read; a READ would want its file event from the other witness.
        kind: 'verify',
        type: 0o100000,
        access: 4,
        count: 3,
        bytes: 0,
        minOffset: 0,
        firstUs: atUs,
        lastUs: atUs,
        order: this.#next,
      });
    }
    return { rows, markers: [], losses: [], untilUs: atUs };
  }

  begin(): void {
    this.#next = 0;
  }

  get done(): boolean {
    return this.#next >= CLIENTS * FILES;
  }

  override drainFiles(): FileBatch {
    return { events: [], losses: [], untilUs: nowUs() };
  }
}

const sensors = new MadeUpTrace({ trace: [], files: [], tier: 'exact' });
const store = Store.open({ path: database });
const recorder = new Recorder({
  store,
  quietUs: 3_600_000_000,
  serverNames: [],
  serverPorts: [],
  onNotice: () => undefined,
  replay: {
    sensors,
    root: () => undefined,
    exports: {
      tables: () => ({
        handles: Buffer.from(`* 1 0x00000000 ${root}\n`),
        options: Buffer.alloc(0),
        etab: Buffer.alloc(0),
      }),
      domains: () => new Map(),
      rootHandle: () => ({ type: 1, bytes: Buffer.alloc(8) }),
      openIndex: () => null,
    },
  },
});
const memory = (field: string): number =>
  Number(
    new RegExp(`${field}:\\s+(\\d+)`).exec(fs.readFileSync('/proc/self/status', 'latin1'))?.[1],
  ) / 1024;

await recorder.start();
await recorder.startRoot({ path: Buffer.from(root), label: null, clients: [] });
await recorder.mark('listed');
const walkedMiB = memory('VmRSS');
const rounds: number[] = [];
const busy: number[] = [];
for (let round = 0; round < 3; round++) {
  sensors.begin();
  const before = process.cpuUsage();
  const began = nowUs();
  while (!sensors.done) await recorder.flush();
  rounds.push((CLIENTS * FILES * 1e6) / (nowUs() - began));
  const { user, system } = process.cpuUsage(before);
  busy.push((CLIENTS * FILES * 1e6) / (user + system));
}
const [residentMiB, peakMiB] = [memory('VmRSS'), memory('VmHWM')];
const sessions = store.sessions();
const rows = sessions.reduce((sum, session) => sum + session.files, 0);
await recorder.stop();
store.close();
process.stdout.write(
  `${JSON.stringify({ rounds, busy, walkedMiB, residentMiB, peakMiB, sessions: sessions.length, rows })}\n`,
);
