/**
 * How soon `trace start` answers on a root of 100,000 files, beside find(1) on the same tree, with
 * warm and with cold caches; what the daemon costs when nothing happens, and its memory.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlClient } from '../../dist/daemon/control-client.js';
import type { BenchDisk } from './disk.ts';
import { cpuNs, machine, markdownTable, median, memoryMiB } from './figures.ts';

const TRACE = path.join(import.meta.dirname, '../../dist/cli/bin.cjs');

class BenchDaemon {
  readonly state: string;
  readonly socket: string;
  #child: ReturnType<typeof spawn> | null = null;

  constructor(work: string) {
    this.state = path.join(work, 'state');
    this.socket = path.join(work, 'control.sock');
  }

  get env(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      NFSROOT_TRACE_STATE_DIR: this.state,
      NFSROOT_TRACE_SOCKET: this.socket,
    };
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error('the daemon does not run');
    return pid;
  }

  async start(): Promise<void> {
    this.#child = spawn(process.execPath, [TRACE, 'daemon'], { env: this.env, stdio: 'ignore' });
    while (!fs.existsSync(this.socket)) await sleep(20);
    await new ControlClient({ socket: this.socket }).status();
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }
}

function findMs(tree: string): number {
  const began = process.hrtime.bigint();
  const { status } = spawnSync('find', [tree, '-printf', ''], { stdio: 'ignore' });
  if (status !== 0) throw new Error(`find ended with ${status}`);
  return Number(process.hrtime.bigint() - began) / 1e6;
}

function dropCaches(): void {
  execFileSync('sync');
  fs.writeFileSync('/proc/sys/vm/drop_caches', '3');
  // The program itself is not what is measured.
  spawnSync('find', ['/dev/null'], { stdio: 'ignore' });
  spawnSync(process.execPath, [TRACE, '--version'], { stdio: 'ignore' });
}

/** Milliseconds until the answer, and until the listing that goes on after it has ended. */
async function startMs(
  daemon: BenchDaemon,
  tree: string,
  how: 'call' | 'command',
): Promise<{ answer: number; listed: number }> {
  const client = new ControlClient({ socket: daemon.socket });
  const began = process.hrtime.bigint();
  if (how === 'call') await client.start({ root: Buffer.from(tree), label: null, clients: [] });
  else {
    const ran = spawnSync(process.execPath, [TRACE, 'start', '--root', tree], {
      env: daemon.env,
      stdio: 'ignore',
    });
    if (ran.status !== 0) throw new Error(`trace start ended with ${ran.status}`);
  }
  const answer = Number(process.hrtime.bigint() - began) / 1e6;
  // A mark comes after all that was asked before.
  await client.mark('listed');
  const listed = Number(process.hrtime.bigint() - began) / 1e6;
  await client.stop(Buffer.from(tree));
  return { answer, listed };
}

export async function benchStart({ work, tree }: BenchDisk, runs: number): Promise<string> {
  const daemon = new BenchDaemon(work);
  await daemon.start();
  const rows: string[][] = [['', 'find, ms', 'answer, ms', 'ratio', 'listed, ms']];
  try {
    for (const caches of ['warm', 'cold'] as const) {
      const find: number[] = [];
      const ours = { call: [] as number[], command: [] as number[] };
      const listed = { call: [] as number[], command: [] as number[] };
      if (caches === 'warm') findMs(tree);
      for (let run = 0; run < runs; run++) {
        for (const how of ['call', 'command'] as const) {
          if (caches === 'cold') dropCaches();
          find.push(findMs(tree));
          if (caches === 'cold') dropCaches();
          const took = await startMs(daemon, tree, how);
          ours[how].push(took.answer);
          listed[how].push(took.listed);
        }
      }
      for (const how of ['call', 'command'] as const)
        rows.push([
          `${caches} caches, ${how === 'call' ? 'request on the control socket' : 'the command `trace start`'}`,
          median(find).toFixed(0),
          median(ours[how]).toFixed(0),
          (median(ours[how]) / median(find)).toFixed(2),
          median(listed[how]).toFixed(0),
        ]);
    }
  } finally {
    await daemon.stop();
  }
  return (
    `A root of 100,000 files in 1,000 directories (ext4), \`find ROOT -printf ''\` beside it (target: a ratio of 1.5 at most); medians of ${runs} interleaved runs. ` +
    `${machine()}.\n\n${markdownTable(rows)}`
  );
}

export async function benchIdle({ work, tree }: BenchDisk, seconds: number): Promise<string> {
  const daemon = new BenchDaemon(work);
  await daemon.start();
  try {
    const client = new ControlClient({ socket: daemon.socket });
    await client.start({ root: Buffer.from(tree), label: null, clients: [] });
    await client.mark('listed');
    await sleep(2000);
    const before = cpuNs(daemon.pid);
    await sleep(seconds * 1000);
    const share = (cpuNs(daemon.pid) - before) / (seconds * 1e9);
    const { nfsd } = await client.status();
    return (
      `Nothing happens for ${seconds} s on a recorded root of 100,000 files (NFS server's trace: ${nfsd.state}). ${machine()}.\n\n` +
      markdownTable([
        ['', ''],
        ['CPU', `${(share * 100).toFixed(2)} %`],
        ['resident memory, MiB', memoryMiB(daemon.pid, 'VmRSS').toFixed(0)],
        ['peak, MiB', memoryMiB(daemon.pid, 'VmHWM').toFixed(0)],
      ])
    );
  } finally {
    await daemon.stop();
  }
}
