/**
 * The memory of the real daemon, started by `trace start`, while many clients use a root: only the
 * kernel's NFS trace is made up (made-up-trace.ts).
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { ControlClient } from '../../dist/daemon/control-client.js';
import { compiled } from './compiled.ts';
import type { BenchDisk } from './disk.ts';
import { cpuNs, memoryMiB } from './figures.ts';

const TRACE = path.join(import.meta.dirname, '../../dist/cli/bin.cjs');
const ROUNDS = 2;

export interface DaemonMemory {
  readonly listedMiB: number;
  readonly residentMiB: number;
  readonly peakMiB: number;
  /** Access updates for each second of the daemon's CPU time, by round. */
  readonly busy: readonly number[];
}

/** @param hashes of the tree's files, u32 each */
export async function daemonMemory(
  { work, tree }: BenchDisk,
  { hashes, clients, files }: { hashes: Buffer; clients: number; files: number },
): Promise<DaemonMemory> {
  const folder = fs.mkdtempSync(path.join(work, 'memory.'));
  const socket = path.join(folder, 'control.sock');
  const [go, done] = [path.join(folder, 'go'), path.join(folder, 'done')];
  fs.writeFileSync(path.join(folder, 'hashes'), hashes);
  const madeUp = compiled('made-up-trace.ts', work);
  const env = {
    ...process.env,
    NFSROOT_TRACE_STATE_DIR: folder,
    NFSROOT_TRACE_SOCKET: socket,
    NODE_OPTIONS: `--import=${pathToFileURL(madeUp).href}`,
    MADE_UP: folder,
    MADE_UP_ROOT: tree,
    MADE_UP_CLIENTS: String(clients),
    MADE_UP_FILES: String(files),
  };
  const args = [TRACE, 'start', '--json', '--root', tree];
  const started = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
  if (started.status !== 0) throw new Error(`trace start: ${started.stderr}`);
  const { daemon_started: pid } = JSON.parse(started.stdout) as { daemon_started: number };
  const client = new ControlClient({ socket });
  try {
    await client.mark('listed');
    const listedMiB = memoryMiB(pid, 'VmRSS');
    const busy: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      fs.rmSync(done, { force: true });
      fs.writeFileSync(go, '');
      const before = cpuNs(pid);
      while (fs.existsSync(go) || !fs.existsSync(done)) await sleep(200);
      await client.mark('round');
      busy.push((clients * files * 1e9) / (cpuNs(pid) - before));
    }
    const { sessions_open: sessions, failure } = await client.status();
    if (sessions !== clients || failure !== null)
      throw new Error(`${sessions} sessions of ${clients} clients: ${failure}`);
    const [residentMiB, peakMiB] = [memoryMiB(pid, 'VmRSS'), memoryMiB(pid, 'VmHWM')];
    return { listedMiB, residentMiB, peakMiB, busy };
  } finally {
    await client.shutdown();
    await client.ended();
  }
}
