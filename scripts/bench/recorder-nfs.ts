/**
 * What recording costs the NFS server: clients in network namespaces of the lab's server read the
 * same files over and over (O_DIRECT, so each time from the server), with recording and without,
 * interleaved. Server, clients and daemon share an emulated machine of one processor whose clock
 * counts instructions, so no figure depends on what else the host does. Two loads: over links that
 * leave the processor time, as real networks do, and without a limit, where nothing but calls is
 * measured. Also what the daemon costs while nothing happens.
 */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LabClient } from '../../test/lab/lab-client.ts';
import { LabServer, GUEST_SHARE, VICTIM_ROOT } from '../../test/lab/server.ts';
import { markdownTable, median } from './figures.ts';

const [DIRECTORIES, FILES] = [50, 100];
const VERSIONS = ['4.2', '4.2', '3'] as const;
const IDLE_SECONDS = 60;
const TIMEOUT_MS = 600_000;
const SUM = `awk '{ sum += $1 } END { printf "%.0f", sum }'`;
/** Nanoseconds, a line each: the clock, the server's threads, the daemon's; of the machine, ticks. */
const SPENT = [
  'date +%s%N',
  `for p in $(pgrep -x nfsd); do cat /proc/$p/schedstat; done | ${SUM}; echo`,
  `cat /proc/$DAEMON/task/*/schedstat | ${SUM}; echo`,
  `awk '$1 == "cpu" { print $2 + $3 + $4 + $7 + $8 }' /proc/stat`,
].join('; ');
const TICK_MS = 10;

interface Load {
  /** Of the folder that its files are in. */
  readonly name: string;
  /** Of each file. */
  readonly bytes: number;
  /** How much of what a client reads without a limit its link lets through. */
  readonly share: number | null;
}

/** A file of a Debian root has 20 KiB on average. */
const LOADS: readonly Load[] = [
  { name: 'linked', bytes: 20 * 1024, share: 0.5 },
  { name: 'bench', bytes: 4096, share: null },
];

/** Milliseconds of the machine's own clock: a million instructions each. */
interface Pass {
  readonly wallMs: number;
  /** Not idle. */
  readonly busyMs: number;
  /** Of the server's threads, and of the daemon. */
  readonly nfsdMs: number;
  readonly daemonMs: number;
}

export async function benchNfs(runs: number): Promise<string> {
  const server = new LabServer({ cpus: 1, hardware: ['-icount', 'shift=0'] });
  await server.start();
  try {
    return await new NfsBench(server).run(runs);
  } finally {
    await server.stop();
  }
}

class NfsBench {
  readonly #server: LabServer;
  readonly #clients: LabClient[];
  #daemon = 0;

  constructor(server: LabServer) {
    this.#server = server;
    this.#clients = VERSIONS.map(
      (_, i) => new LabClient({ server, name: `rack${i}`, address: `10.77.0.${21 + i}` }),
    );
  }

  async run(runs: number): Promise<string> {
    for (const [i, client] of this.#clients.entries()) {
      await client.powerOn();
      await client.mount({ version: VERSIONS[i] ?? '3' });
    }
    let text = '';
    for (const load of LOADS) text += await this.#compare(load, runs);
    return text + (await this.#idle());
  }

  /** Leaves the last recording on. */
  async #compare(load: Load, runs: number): Promise<string> {
    if (this.#daemon !== 0) await this.#endRecording();
    await this.#prepare(load);
    await this.#pass(load);
    const kbits = await this.#limit(load);
    const [without, recorded]: [Pass[], Pass[]] = [[], []];
    for (let run = 0; run < runs; run++) {
      without.push(await this.#pass(load));
      await this.#record();
      // The first pass of a recording learns the files; it is the others that go on for ever.
      await this.#pass(load);
      recorded.push(await this.#pass(load));
      if (run < runs - 1) await this.#endRecording();
    }
    const status = await this.#must('trace status --json');
    const { nfsd, fanotify } = JSON.parse(status) as Status;
    const lost = `\nLost in the last run: ${nfsd.lost + fanotify.lost} events.\n\n`;
    return describe({ load, kbits, without, recorded }) + lost;
  }

  /** Slows the clients' links down; kbit/s of each, null without a limit. */
  async #limit({ name, bytes, share }: Load): Promise<number | null> {
    if (share === null) {
      for (const client of this.#clients) await client.limit(null);
      return null;
    }
    const { wallMs } = await this.#pass({ name, bytes, share });
    const kbits = Math.round((DIRECTORIES * FILES * bytes * 8 * share) / wallMs);
    for (const client of this.#clients) await client.limit(kbits);
    return kbits;
  }

  async #prepare({ name, bytes }: Load): Promise<void> {
    const { share } = this.#server;
    const source = path.join(import.meta.dirname, 'reader.c');
    execFileSync('cc', ['-O2', '-o', path.join(share, 'bench-reader'), source]);
    const tree = path.join(share, name);
    for (let d = 0; d < DIRECTORIES; d++) {
      fs.mkdirSync(path.join(tree, String(d)), { recursive: true });
      for (let f = 0; f < FILES; f++)
        fs.writeFileSync(path.join(tree, String(d), String(f)), Buffer.alloc(bytes, 0x61));
    }
    execFileSync('tar', ['-C', share, '-cf', path.join(share, `${name}.tar`), name]);
    await this.#must(`tar -C ${VICTIM_ROOT} -xf ${GUEST_SHARE}/${name}.tar && sync`);
  }

  /** Every client reads every file once. */
  async #pass({ name }: Load): Promise<Pass> {
    const before = await this.#spent();
    const read = `${GUEST_SHARE}/bench-reader ${name} ${DIRECTORIES} ${FILES} direct </dev/null`;
    const done = await Promise.all(
      this.#clients.map((client) => client.must(read, { timeoutMs: TIMEOUT_MS })),
    );
    if (done.some((count) => Number(count) !== DIRECTORIES * FILES))
      throw new Error(`the clients read ${done.join(', ')} files`);
    return since(before, await this.#spent());
  }

  async #spent(): Promise<Pass> {
    const said = await this.#must(`DAEMON=${this.#daemon}; ${SPENT}`);
    const [clock = NaN, nfsd = NaN, daemon = NaN, busy = NaN] = said.trim().split('\n').map(Number);
    return {
      wallMs: clock / 1e6,
      busyMs: busy * TICK_MS,
      nfsdMs: nfsd / 1e6,
      daemonMs: this.#daemon === 0 ? 0 : daemon / 1e6,
    };
  }

  async #record(): Promise<void> {
    const text = await this.#must(`trace start --json --root ${VICTIM_ROOT}`);
    this.#daemon = (JSON.parse(text) as { daemon_started: number }).daemon_started;
    await this.#must('trace mark listed');
  }

  async #endRecording(): Promise<void> {
    await this.#must(`trace stop --json --root ${VICTIM_ROOT} && trace stop --daemon`);
    this.#daemon = 0;
  }

  async #idle(): Promise<string> {
    await this.#must('trace mark idle');
    await sleep(5000);
    const before = await this.#spent();
    await sleep(IDLE_SECONDS * 1000);
    const { wallMs, daemonMs } = since(before, await this.#spent());
    const { nfsd } = JSON.parse(await this.#must('trace status --json')) as Status;
    return (
      `Idle after that (NFS server's trace: ${nfsd.state}): the daemon takes ` +
      `${((daemonMs * 1000) / wallMs).toFixed(1)} million instructions a second.\n`
    );
  }

  #must(shell: string): Promise<string> {
    return this.#server.must(shell, { timeoutMs: TIMEOUT_MS });
  }
}

interface Status {
  readonly nfsd: { readonly state: string; readonly lost: number };
  readonly fanotify: { readonly lost: number };
}

function since(before: Pass, after: Pass): Pass {
  return {
    wallMs: after.wallMs - before.wallMs,
    busyMs: after.busyMs - before.busyMs,
    nfsdMs: after.nfsdMs - before.nfsdMs,
    daemonMs: after.daemonMs - before.daemonMs,
  };
}

function describe(measured: {
  readonly load: Load;
  readonly kbits: number | null;
  readonly without: readonly Pass[];
  readonly recorded: readonly Pass[];
}): string {
  const { load, kbits, without, recorded } = measured;
  const reads = VERSIONS.length * DIRECTORIES * FILES;
  const rate = (passes: readonly Pass[], of: (pass: Pass) => number): number =>
    median(passes.map((pass) => (reads * 1000) / of(pass)));
  const each = (passes: readonly Pass[], of: (pass: Pass) => number): number =>
    median(passes.map((pass) => (of(pass) * 1000) / reads));
  const row = (name: string, of: typeof rate, pick: (pass: Pass) => number): string[] => {
    const [a, b] = [of(without, pick), of(recorded, pick)];
    return [name, a.toFixed(0), b.toFixed(0), a === 0 ? '' : `${((b / a) * 100).toFixed(1)} %`];
  };
  return (
    `${VERSIONS.length} clients (NFSv${VERSIONS.join(', ')}) open, read and close ${DIRECTORIES * FILES} ` +
    `files of ${load.bytes} bytes each, over and over, from Debian's kernel NFS server` +
    (kbits === null
      ? ', as fast as they can'
      : `, over links of ${(kbits / 1000).toFixed(1)} Mbit/s, half of what they read without a limit`) +
    `; they, the server and the daemon share an emulated processor whose clock counts instructions, a nanosecond each. Medians of ${without.length} interleaved runs.\n\n` +
    markdownTable([
      ['', 'not recorded', 'recorded', ''],
      row('files read a second', rate, ({ wallMs }) => wallMs),
      row('thousand instructions a file, all', each, ({ busyMs }) => busyMs),
      row("of the server's threads", each, ({ nfsdMs }) => nfsdMs),
      row('of the daemon', each, ({ daemonMs }) => daemonMs),
    ])
  );
}
