/**
 * Runs in the lab's server: the same traffic seen by the tracepoint and by the kprobe at once, and
 * the kprobe's life in tracefs.
 *
 *     two-routes.ts 'COMMAND' RESULT.json
 *
 * Owns nothing but the order of things.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { NfsdSource } from '../../../src/capture/nfsd-source.ts';

const EVENTS = '/sys/kernel/tracing/kprobe_events';
const shell = (command: string): string =>
  execFileSync('sh', ['-c', command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
/** Names of all kprobe events. */
const probes = (): string[] =>
  readFileSync(EVENTS, 'latin1')
    .split('\n')
    .flatMap((line) => /^\w+:(\S+)/.exec(line)?.[1] ?? [])
    .sort();

const [traffic = '', resultFile = ''] = process.argv.slice(2);
appendFileSync(EVENTS, 'p:others/mine vfs_fsync\n');

const tracepoint = new NfsdSource();
const kprobe = new NfsdSource({ preferKprobe: true });
tracepoint.start();
kprobe.start();
const both = probes();
shell(traffic);
await Promise.all([tracepoint.sync(), kprobe.sync()]);
const routes = { tracepoint: tracepoint.drain(), kprobe: kprobe.drain() };
const status = { tracepoint: tracepoint.status(), kprobe: kprobe.status() };
await tracepoint.stop();

// Killed while it reads: the kernel closes the events, and their definitions stay.
const module = new URL('../../../src/capture/nfsd-source.ts', import.meta.url).pathname;
const child = spawn(
  process.execPath,
  [
    '--input-type=module-typescript',
    '-e',
    `import { NfsdSource } from ${JSON.stringify(module)};
     new NfsdSource({ preferKprobe: true }).start(); console.log('on'); setInterval(() => {}, 1000);`,
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
await once(child.stdout, 'data');
const withChild = probes();
child.kill('SIGKILL');
await once(child, 'close');
const afterKill = probes();
const next = new NfsdSource({ preferKprobe: true });
next.start();
const afterNext = probes();
// One of two ends; the other goes on seeing.
await kprobe.stop();
const afterStop = probes();
shell(traffic);
await next.sync();
const goneOn = next.drain().rows.length;
await next.stop();
const atEnd = probes();

shell('trace prepare');
const prepared = new NfsdSource({ preferKprobe: true });
prepared.start();
const withPrepared = probes();
const busy = shell('trace prepare --undo >/dev/null 2>&1; echo $?').trim();
await prepared.stop();
const afterPrepared = probes();
shell('trace prepare --undo');
const life = {
  ...{ both, withChild, afterKill, afterNext, afterStop, goneOn, atEnd },
  ...{ withPrepared, busy, afterPrepared, undone: probes() },
};
writeFileSync(resultFile, JSON.stringify({ routes, status, life }));
