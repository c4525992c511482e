/**
 * The recorder's side of bench-recorder: records one file system as the daemon does (a drain each
 * 200 ms) until its standard input ends, then prints what it saw as one line of JSON.
 * Usage: node recorder-ours.ts DIR; prints `ready` when it records.
 */
import process from 'node:process';
import { FAN_ONDIR, FAN_OPEN, FanotifyGroup } from '../../src/fanotify-ts/index.ts';
import type { FileBatch } from '../../src/fanotify-ts/index.ts';

const group = new FanotifyGroup({ paths: [Buffer.from(process.argv[2] ?? '.')] });
let opens = 0;
let rows = 0;
let lossRows = 0;

function take(batch: FileBatch): void {
  for (const { mask, count } of batch.events)
    if ((mask & FAN_OPEN) !== 0 && (mask & FAN_ONDIR) === 0) opens += count;
  rows += batch.events.length;
  lossRows += batch.losses.length;
}

group.start();
const timer = setInterval(() => take(group.drain()), 200);
process.stdout.write('ready\n');
process.stdin.resume();
process.stdin.once('end', () => {
  void (async () => {
    clearInterval(timer);
    take(await group.stop());
    process.stdout.write(
      `${JSON.stringify({ opens, rows, lossRows, events: group.stats().eventsRead, stats: group.stats() })}\n`,
    );
    // The bench reads /proc of this process before it lets it go.
    process.once('SIGTERM', () => process.exit(0));
    setInterval(() => undefined, 1000);
  })();
});
