/**
 * Many clients that boot, read and lose power at random for minutes, while the daemon is killed and
 * its disk fills. Owns what happens when, and the record of it; what it must have led to is
 * soak-compare.ts's.
 */
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { LabClient, NFS_VERSIONS, quoted, type NfsVersion } from './lab-client.ts';
import { GUEST_SHARE, VICTIM_ROOT, type LabServer } from './server.ts';

export interface SoakOptions {
  readonly server: LabServer;
  readonly seed: number;
  /** Of clients at work while a daemon records. */
  readonly minutes: number;
  readonly clients: number;
  /** How often the daemon is killed. */
  readonly kills: 1 | 2;
  /** Told what was done to the daemon, and how the soak goes on. */
  readonly say: (text: string) => void;
}

/** Times are seconds of the guest's monotonic clock. */
export interface SoakBoot {
  readonly client: string;
  readonly version: NfsVersion;
  readonly from: number;
  readonly to: number;
}

export interface SoakRecord {
  readonly boots: readonly SoakBoot[];
  /** Times in which no daemon could see anything, its start until it answers included. */
  readonly outages: readonly { readonly from: number; readonly to: number }[];
}

/** The recorder's state lies on a file system of this size. */
const DISK_MB = 48;
const STATE = '/var/lib/nfsroot-trace';
/** How long nobody starts the daemon again that was killed. */
const AWAY_MS = 4000;
/** More at once only wait for each other: emulation has two processors. */
const AT_ONCE = 3;
/** Two mounts in less than 5 s are one boot, as docs/sessions.md has it. */
const OFF_MS = 6000;

/** Numbers in [0, 1) that a seed decides (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class Soak {
  readonly #options: SoakOptions;
  readonly #boots: SoakBoot[] = [];
  readonly #outages: SoakRecord['outages'][number][] = [];
  readonly #queue: (() => void)[] = [];
  #busy = 0;
  #daemons = 0;
  /** When no further boot starts, on our own clock. */
  #end = 0;

  constructor(options: SoakOptions) {
    this.#options = options;
  }

  /** Puts the state on a small disk of its own and starts the recording. */
  async prepare(): Promise<void> {
    const { server } = this.#options;
    await server.must(
      `mkdir -p ${STATE} && mount -t tmpfs -o size=${DISK_MB}m,mode=700 tmpfs ${STATE}`,
    );
    await this.#startDaemon();
    await server.must(`trace start --root ${VICTIM_ROOT}`, { timeoutMs: 180_000 });
  }

  async run(): Promise<SoakRecord> {
    const { clients, seed, minutes, say } = this.#options;
    const pool = await this.#pool();
    const ms = minutes * 60_000;
    this.#end = Date.now() + ms;
    say(`${clients} clients for ${minutes} minutes, seed ${seed}`);
    const machines = Array.from({ length: clients }, (_, index) =>
      this.#live({ index, pool, random: randomFrom(seed * 1000 + index) }),
    );
    try {
      await Promise.all([...machines, this.#trouble(ms)]);
    } catch (error) {
      say(await this.#blocked());
      throw error;
    }
    say(`${this.#boots.length} boots`);
    return { boots: this.#boots, outages: this.#outages };
  }

  /** Ends the recording; gives the folder outside with a copy of the recorder's state. */
  async finish(): Promise<string> {
    const { server } = this.#options;
    const name = 'soak-state';
    await server.must('trace mark end && trace stop', { timeoutMs: 180_000 });
    await this.#kill('TERM');
    await server.must(`cp -a ${STATE} ${GUEST_SHARE}/${name}`);
    return path.join(server.share, name);
  }

  /** What clients may read: regular files and links of the root, relative. */
  async #pool(): Promise<Pool> {
    const find = (type: string, most: number): Promise<string> =>
      this.#options.server.must(
        `cd ${VICTIM_ROOT}/usr && find bin lib share -xdev -type ${type} -size -200k | LC_ALL=C sort | head -n ${most}`,
      );
    const lines = (text: string): string[] =>
      text
        .trim()
        .split('\n')
        .map((name) => `usr/${name}`);
    return {
      files: lines(await find('f', 400)),
      links: lines(await find('l', 100)),
      folders: ['etc', 'usr/bin', 'usr/share', 'var/log', 'etc/default'],
    };
  }

  async #live(life: Life): Promise<void> {
    const { index, pool, random } = life;
    const pick = <T>(from: readonly T[], most: number): T[] =>
      Array.from(
        { length: Math.ceil(random() * most) },
        () => from[Math.floor(random() * from.length)] as T,
      );
    const name = `soak${String(index).padStart(2, '0')}`;
    const { server } = this.#options;
    const client = new LabClient({ server, name, address: `10.77.1.${index + 1}` });
    await delay(random() * OFF_MS);
    while (Date.now() < this.#end) {
      const version = pick(NFS_VERSIONS, 1)[0] as NfsVersion;
      const from = await this.#turn(async () => {
        const now = await this.#now();
        await client.powerOn();
        await client.mount({ version });
        return now;
      });
      for (let round = Math.ceil(random() * 3); round > 0; round--) {
        const shell = [
          `cat -- ${pick(pool.files, 12).map(quoted).join(' ')} >/dev/null`,
          `readlink -- ${pick(pool.links, 4).map(quoted).join(' ')} >/dev/null`,
          `stat -- ${pick(pool.files, 4).map(quoted).join(' ')} >/dev/null`,
          `ls -U ${pick(pool.folders, 1).map(quoted).join(' ')} >/dev/null`,
        ].join(' && ');
        await this.#turn(() => client.must(shell, { timeoutMs: 180_000 }));
        await delay(random() * 3000);
      }
      const to = await this.#turn(async () => {
        if (random() < 0.3) await client.unmount();
        await client.powerOff();
        return this.#now();
      });
      this.#boots.push({ client: client.address, version, from, to });
      await delay(OFF_MS + random() * 3000);
    }
  }

  /** A kill at a quarter, a full disk at the half, and the second kill at three quarters. */
  async #trouble(ms: number): Promise<void> {
    const { kills } = this.#options;
    await delay(ms * 0.25);
    await this.#outage();
    await delay(ms * 0.2);
    await this.#fillDisk(Math.min(ms * 0.15, 40_000));
    if (kills === 1) return;
    await delay(ms * 0.2);
    await this.#outage();
  }

  async #fillDisk(ms: number): Promise<void> {
    const { server, say } = this.#options;
    const from = await this.#now();
    await server.run(`cat /dev/zero > ${STATE}/fill 2>/dev/null`);
    await delay(ms);
    const left = (await server.must(`df -k --output=avail ${STATE} | tail -n 1`)).trim();
    await server.must(`rm ${STATE}/fill`);
    say(`disk full (${left} KB left) for ${((await this.#now()) - from).toFixed(1)} s`);
    // The daemon has met it, and got over it.
    await server.must(
      `log=$(ls -t /run/soak-daemon-*.log | head -n 1); grep -q 'a flush failed' $log && ` +
        `for i in $(seq 100); do grep -q 'flushes work again' $log && exit; sleep 0.2; done; cat $log; exit 1`,
    );
  }

  async #outage(): Promise<void> {
    const from = await this.#now();
    // A slow machine takes a minute over it, and what is compared is what was recorded.
    const left = this.#end - Date.now();
    this.#end = Infinity;
    await this.#kill('KILL');
    await delay(AWAY_MS);
    await this.#startDaemon();
    this.#end = Date.now() + left;
    const to = await this.#now();
    this.#outages.push({ from, to });
    this.#options.say(
      `daemon killed at ${from.toFixed(1)} s, back after ${(to - from).toFixed(1)} s`,
    );
  }

  /** Its log tells when it records: asking by a command takes seconds of the clients' time. */
  async #startDaemon(): Promise<void> {
    const log = `/run/soak-daemon-${this.#daemons++}.log`;
    await this.#options.server.must(
      `setsid trace daemon >${log} 2>&1 & ` +
        `pid=$!; until grep -q '"msg":"recording"' ${log}; do kill -0 $pid || exit; sleep 0.2; done`,
      { timeoutMs: 180_000 },
    );
  }

  async #kill(signal: 'KILL' | 'TERM'): Promise<void> {
    await this.#options.server.must(
      `pid=$(pgrep -f 'bin[.]cjs daemon') && kill -${signal} $pid && ` +
        'while kill -0 $pid 2>/dev/null; do sleep 0.2; done',
      { timeoutMs: 60_000 },
    );
  }

  /** What the guest's kernel says of tasks that wait for something that does not come. */
  async #blocked(): Promise<string> {
    return this.#options.server.must('echo w >/proc/sysrq-trigger; dmesg | tail -n 300');
  }

  async #now(): Promise<number> {
    return Number((await this.#options.server.must('cut -d" " -f1 /proc/uptime')).trim());
  }

  async #turn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#busy >= AT_ONCE) await new Promise<void>((resolve) => this.#queue.push(resolve));
    else this.#busy++;
    try {
      return await work();
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#busy--;
      else next();
    }
  }
}

interface Pool {
  readonly files: readonly string[];
  readonly links: readonly string[];
  readonly folders: readonly string[];
}

interface Life {
  readonly index: number;
  readonly pool: Pool;
  readonly random: () => number;
}
