/**
 * What the tests of boots are made of: the form of a scenario, and the ones with several machines
 * behind one address. Owns how long a silence is and what a busy client does.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LabClient } from './lab-client.ts';
import type { Session } from './product.ts';
import { SERVER_ADDRESS, type LabServer } from './server.ts';

/** Longer than the silence that tells a reboot, and than what two FSINFO of one mount can be apart. */
export const PAUSE_MS = 6_000;
/** The lab's server gives leases of this length. */
const LEASE_MS = 10_000;
/** In emulation the recorder may ask for renewals once a minute: it takes little time for that. */
const NOTED_MS = 120_000;
/** What comes of two machines behind one address: both busy, one idle. */
const ONE_SESSION = 'one session, which says so';
const ONE_MORE = 'one session more, which says so';

export interface Scenario {
  readonly name: string;
  readonly address: string;
  readonly run: () => Promise<void>;
  /** `evidence [partial] [ended]` of each session. */
  readonly story: readonly string[];
  /** Notes of all its sessions together. */
  readonly notes?: readonly string[];
  /** Its rows in the table of what works: each version of NFS, in a few words what, what came of it. */
  readonly works: readonly [nfs: string, what: string, result: string][];
  readonly check?: (sessions: readonly Session[]) => void;
}

/** Traffic that a client has while it is up, a direct read every quarter of a second, during `work`. */
export async function busyWhile<T>(
  client: LabClient,
  folder: string,
  work: () => Promise<T>,
): Promise<T> {
  const flag = `/run/busy-${client.address}`;
  await client.must(`touch ${flag}`);
  // Before all else on the machine's one processor: a client that waits for its turn is silent.
  const first = 'renice -n -20 -p $$ >/dev/null';
  const loop = client.must(`${first} && while [ -e ${flag} ]; do ${readAgain(folder)}; done`, {
    timeoutMs: 240_000,
  });
  const [done] = await Promise.all([work().finally(() => client.must(`rm ${flag}`)), loop]);
  return done;
}

function readAgain(folder: string): string {
  return `dd if=${folder}/etc/passwd of=/dev/null bs=64k iflag=direct status=none; sleep 0.2`;
}

export interface BehindOne {
  readonly server: LabServer;
  /** The one that is seen, and those behind it. */
  readonly outer: LabClient;
  readonly inner: readonly [LabClient, LabClient];
  /** Does the first one work while the second boots? */
  readonly active: boolean;
  /** Does a session of the address say that several machines are behind it? */
  readonly isShared: (outer: LabClient) => Promise<boolean>;
}

/** Machines behind one address: each in a namespace whose NFS port leads out of another one. */
export function behindOne({ server, outer, inner, active, isShared }: BehindOne): Scenario {
  const [one, two] = inner;
  const kind = active ? 'busy' : 'idle';
  const mount = async (client: LabClient): Promise<string> => {
    const folder = `${client.folder}/root`;
    const options = `ro,vers=4.2,proto=tcp,addr=127.0.0.1,clientaddr=${client.address}`;
    await client.must(`mkdir -p root && mount -i -t nfs -o ${options} 127.0.0.1:/sarge ${folder}`);
    await client.must(`cat ${folder}/etc/hostname`);
    return folder;
  };
  const relay = async (): Promise<void> => {
    const ready = `/run/relay-${kind}`;
    const spaces = inner.map(({ name, folder }) => `${name}.${folder.split('/').at(-1) ?? ''}`);
    const command = `setsid python3 "$LAB_REPOSITORY/test/lab/guest/relay.py" ${ready} ${outer.name}.1 ${SERVER_ADDRESS} ${spaces.join(' ')}`;
    await server.must(
      `. /lab/lab.env; rm -f ${ready}; ${command} >/dev/null 2>&1 &\nuntil [ -e ${ready} ]; do sleep 0.2; done`,
    );
  };
  return {
    name: active
      ? 'two machines behind one address: one session, which says so, whatever they boot'
      : 'two machines behind one address, one of them idle when the other boots first: one session more, and no others',
    address: outer.address,
    run: async () => {
      await Promise.all([outer, ...inner].map((client) => client.powerOn()));
      await relay();
      const folder = await mount(one);
      if (active) await busyWhile(one, folder, () => sleep(2000).then(() => mount(two)));
      else {
        // The first gives back what it was delegated when it renews its lease.
        await sleep(PAUSE_MS + LEASE_MS);
        await mount(two);
        // Until the first has renewed its lease again, and the server was asked for it.
        for (let left = NOTED_MS; left > 0 && !(await isShared(outer)); left -= PAUSE_MS)
          await sleep(PAUSE_MS);
      }
      for (const client of [two, two]) {
        await sleep(PAUSE_MS);
        await client.reset();
        await relay();
        await mount(client);
      }
    },
    story: active ? ['nfs4-new-client'] : ['nfs4-new-client boot', 'nfs4-new-client'],
    notes: ['shared-address'],
    works: [
      ['4.2', `two machines behind one address, one ${kind}`, active ? ONE_SESSION : ONE_MORE],
    ],
  };
}
