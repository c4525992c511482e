/**
 * Runs in the lab's server: records its NFS traffic with the product's NFS source alone, while it
 * makes clients of its own (network namespaces) do what it is told.
 *
 *     record-nfsd.ts STEPS.json RESULT.json      steps: [{name, run}]
 *
 * Owns the unloading and loading of the nfsd module around the source's start.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { NfsdSource } from '../../../src/capture/nfsd-source.ts';
import type { NfsBatch } from '../../../src/common/batches.ts';

interface Step {
  readonly name: string;
  readonly run: string;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const shell = (command: string): string =>
  execFileSync('sh', ['-ec', command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

const [stepsFile = '', resultFile = ''] = process.argv.slice(2);
const steps = JSON.parse(readFileSync(stepsFile, 'utf8')) as Step[];

// rpc.mountd holds files of the module open.
shell('rpc.nfsd 0; exportfs -ua; kill $(pidof rpc.mountd); umount /proc/fs/nfsd');
shell('for i in $(seq 50); do rmmod nfsd && exit; sleep 0.1; done; exit 1');
const source = new NfsdSource();
source.start();
const states: string[] = [source.status().state];
shell('modprobe nfsd');
for (let i = 0; i < 100 && source.status().state === 'waiting'; i++) await sleep(20);
states.push(source.status().state);
// A lease that no slow machine outlives: an expired client is purged and its next mount is fresh.
shell('mount -t nfsd nfsd /proc/fs/nfsd; exportfs -ra; rpc.nfsd -G 10 -L 90 8; rpc.mountd');

const batches: Record<string, NfsBatch> = {};
for (const { name, run } of steps) {
  shell(run);
  await source.sync();
  batches[name] = source.drain();
}
shell('rpc.nfsd 0; kill $(pidof rpc.mountd); umount /proc/fs/nfsd; sleep 1');
const beforeUnload = shell('rmmod nfsd 2>&1 || true');
const last = await source.stop();
const afterStop = shell('rmmod nfsd 2>&1 || true');
writeFileSync(
  resultFile,
  JSON.stringify({ states, batches, last, status: source.status(), beforeUnload, afterStop }),
);
