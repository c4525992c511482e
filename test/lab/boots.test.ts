/**
 * What is a boot and what is not, with real clients of the kernel: each NFS version booting,
 * remounting, cut off for five minutes, changing its version, sharing a name or an address. They all
 * go on beside each other; then the sessions are read once.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { lacks } from '../capabilities.ts';
import { BriefVictim } from './brief-victim.ts';
import { LabClient, NFS_VERSIONS, type NfsVersion } from './lab-client.ts';
import { Product, type Session } from './product.ts';
import { LabServer, SERVER_ADDRESS } from './server.ts';

const CUT_MS = 300_000;
/** Longer than the silence that tells a reboot, and than what two FSINFO of one mount can be apart. */
const PAUSE_MS = 6_000;

interface Scenario {
  readonly name: string;
  readonly address: string;
  readonly run: () => Promise<void>;
  /** `evidence [partial] [ended]` of each session. */
  readonly story: readonly string[];
  /** Notes of all its sessions together. */
  readonly notes?: readonly string[];
  readonly check?: (sessions: readonly Session[]) => void;
}

describe('boots', { skip: lacks('root', 'qemu', 'debootstrap') }, () => {
  const server = new LabServer();
  const product = new Product(server);
  const failures = new Map<string, Error>();
  let sessions: readonly Session[] = [];
  let lastAddress = 20;

  const newClient = (name: string, hostname = name): LabClient =>
    new LabClient({ server, name, hostname, address: `10.77.0.${(lastAddress += 1)}` });

  async function boot(
    client: LabClient,
    version: NfsVersion,
    file = 'etc/hostname',
  ): Promise<void> {
    await client.mount({ version });
    await client.read(file);
  }

  /** Traffic that a client has while it is up: a direct read every quarter of a second. */
  function busy(client: LabClient, folder: string, seconds: number): Promise<unknown> {
    const read = `dd if=${folder}/etc/passwd of=/dev/null bs=64k iflag=direct status=none`;
    return client.must(`for i in $(seq ${seconds * 4}); do ${read}; sleep 0.2; done`, {
      timeoutMs: 120_000,
    });
  }

  const bootsOf = (version: NfsVersion): Scenario => {
    const client = newClient(`boots-${version.replace('.', '')}`);
    const [first, next] =
      version === '3' ? ['nfs3-mount', 'nfs3-mount'] : ['nfs4-new-client', 'nfs4-verifier'];
    return {
      name: `NFSv${version}: three boots, two of them within 10 seconds`,
      address: client.address,
      run: async () => {
        await client.powerOn();
        await boot(client, version);
        await sleep(PAUSE_MS);
        await client.reset();
        await boot(client, version, 'etc/passwd');
        await sleep(2 * PAUSE_MS);
        await client.reset();
        await boot(client, version, 'etc/group');
      },
      story: [`${first} boot`, `${next} boot`, next],
    };
  };

  const remountOf = (version: NfsVersion): Scenario => {
    const client = newClient(`remount-${version.replace('.', '')}`);
    return {
      name:
        version === '3'
          ? 'NFSv3: unmount, silence and mount is a new session, for nothing tells it from a boot'
          : `NFSv${version}: unmount and mount without a reboot is the same session`,
      address: client.address,
      run: async () => {
        await client.powerOn();
        await boot(client, version);
        await client.unmount();
        await sleep(PAUSE_MS);
        await boot(client, version, 'etc/passwd');
      },
      story: version === '3' ? ['nfs3-mount boot', 'nfs3-mount'] : ['nfs4-new-client'],
    };
  };

  const cut: { client: LabClient; version: NfsVersion }[] = [];
  const cutOf = (version: NfsVersion): Scenario => {
    const client = newClient(`cut-${version.replace('.', '')}`);
    cut.push({ client, version });
    return {
      name: `NFSv${version}: a network cut of 5 minutes is no boot`,
      address: client.address,
      run: async () => {
        const begun = Date.now();
        await client.powerOn();
        await boot(client, version);
        await client.unplug();
        await sleep(CUT_MS);
        await client.plugIn();
        await client.run('cat etc/passwd >/dev/null; cat etc/group', { timeoutMs: 180_000 });
        assert.ok(Date.now() - begun > CUT_MS);
      },
      story: [version === '3' ? 'nfs3-mount' : 'nfs4-new-client'],
      check: ([session]) => {
        const spanMs = Date.parse(session?.last ?? '') - Date.parse(session?.opened ?? '');
        assert.ok(spanMs > CUT_MS, 'it was read from after the cut');
      },
    };
  };

  const upOf = (version: NfsVersion): Scenario & { readonly begin: () => Promise<void> } => {
    const client = newClient(`up-${version.replace('.', '')}`);
    return {
      name: `NFSv${version}: a client that was up before the recording has a partial session`,
      address: client.address,
      begin: async () => {
        await client.powerOn();
        await boot(client, version);
      },
      run: () => client.read('etc/passwd'),
      story: ['first-traffic partial'],
    };
  };

  const changes = (): Scenario => {
    const client = newClient('changes');
    return {
      name: 'a client that changes from NFSv3 to NFSv4 and back has a session for each boot',
      address: client.address,
      run: async () => {
        await client.powerOn();
        await boot(client, '3');
        await sleep(PAUSE_MS);
        await client.reset();
        await boot(client, '4.2');
        await sleep(PAUSE_MS);
        await client.reset();
        await boot(client, '3');
      },
      story: ['nfs3-mount boot', 'nfs4-new-client boot', 'nfs3-mount'],
    };
  };

  const mixed = (): Scenario => {
    const client = newClient('mixed');
    const bootBoth = async (): Promise<void> => {
      const folder = await client.mount({ version: '3' });
      await client.read('etc/hostname');
      await Promise.all([
        busy(client, folder, 8),
        sleep(1500).then(() => client.mount({ version: '4.2', name: 'home' })),
      ]);
      await client.read('etc/passwd');
    };
    return {
      name: 'root on NFSv3 and /home on NFSv4: one session for each boot',
      address: client.address,
      run: async () => {
        await client.powerOn();
        await bootBoth();
        await sleep(PAUSE_MS);
        await client.reset();
        await bootBoth();
      },
      story: ['nfs3-mount boot', 'nfs3-mount'],
    };
  };

  const clones = (): Scenario[] => {
    const pair = [newClient('clone-a', 'twin'), newClient('clone-b', 'twin')] as const;
    const run = async (): Promise<void> => {
      for (const client of pair) {
        await client.powerOn();
        await boot(client, '4.2');
      }
      // Each takes the state from the other, again and again.
      for (const file of ['etc/passwd', 'etc/group', 'etc/fstab', 'etc/shells'])
        for (const client of pair) await client.run(`cat ${file}`);
    };
    return pair.map(({ address }, index) => ({
      name: `clones with one host name and two addresses: ${index === 0 ? 'the first' : 'the second'} has one session, which says so`,
      address,
      run: index === 0 ? run : () => Promise.resolve(),
      story: ['nfs4-new-client'],
      notes: ['identity-collision'],
    }));
  };

  /** Machines behind one address: each in a namespace whose NFS port leads out of another one. */
  const behindOne = (names: readonly string[], active: boolean): Scenario => {
    const kind = active ? 'busy' : 'idle';
    const outer = newClient(`nat-${kind}`);
    const inner = names.map((name) => newClient(name));
    const mount = async (client: LabClient): Promise<string> => {
      const folder = `${client.folder}/root`;
      const options = `ro,vers=4.2,proto=tcp,addr=127.0.0.1,clientaddr=${client.address}`;
      await client.must(
        `mkdir -p root && mount -i -t nfs -o ${options} 127.0.0.1:/sarge ${folder}`,
      );
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
        const [one, two] = inner;
        assert.ok(one && two);
        const folder = await mount(one);
        if (active) await Promise.all([busy(one, folder, 10), sleep(2000).then(() => mount(two))]);
        else {
          await sleep(PAUSE_MS);
          await mount(two);
          // Until the first has renewed its lease and the server was asked for it.
          await sleep(30_000);
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
    };
  };

  const sameVerifier = (): Scenario => {
    const raw = (paths: readonly string[]): Promise<unknown> => {
      const owner = Buffer.from('Linux NFSv4.1 clockless').toString('hex');
      const verifier = '0000000000123456';
      const client = { from: '127.9.0.1', server: '127.0.0.1', owner, verifier, paths };
      return server.must(`. /lab/lab.env; python3 "$LAB_REPOSITORY/test/lab/guest/raw_nfs4.py"`, {
        input: Buffer.from(JSON.stringify([client])),
      });
    };
    return {
      name: 'a boot whose verifier is that of the boot before is told by its first program',
      address: '127.9.0.1',
      run: async () => {
        await raw(['sarge/etc/hostname', 'sarge/init', 'sarge/etc/passwd']);
        await sleep(PAUSE_MS);
        // A remount: the same boot.
        await raw(['sarge/etc/group']);
        await sleep(PAUSE_MS);
        await raw(['sarge/etc/hostname', 'sarge/init', 'sarge/etc/fstab']);
      },
      story: ['nfs4-new-client boot', 'init-read partial'],
      check: ([first, second]) => assert.equal(second?.evidence.detail?.after, first?.id),
    };
  };

  const clockless = (): Scenario => {
    const victim = new BriefVictim({
      server,
      version: '4.2',
      port: 0,
      clock: '1970-01-01T00:00:00',
    });
    return {
      name: 'a machine whose clock begins at 1970 at each boot has a session for each',
      address: victim.address,
      run: async () => {
        assert.equal(await victim.boot(), 1970);
        assert.equal(await victim.boot(), 1970);
      },
      story: ['nfs4-new-client boot', 'nfs4-verifier'],
      check: ([, second]) => {
        const { verifier = '', previousVerifier = '' } = second?.evidence.detail ?? {};
        // Nanoseconds since 1970: both within a few minutes of it.
        for (const text of [verifier, previousVerifier])
          assert.ok(BigInt(`0x${text}`) < 600_000_000_000n, text);
      },
    };
  };

  const ups = (['3', '4.2'] as const).map(upOf);
  const groups: readonly (readonly Scenario[])[] = [
    (['3', '4.0', '4.2'] as const).map(cutOf),
    [clockless(), ...ups, behindOne(['nat-a', 'nat-b'], true)],
    [sameVerifier(), ...NFS_VERSIONS.map(bootsOf), behindOne(['nat-c', 'nat-d'], false)],
    [...clones(), ...NFS_VERSIONS.map(remountOf), changes(), mixed()],
  ];

  before(async () => {
    await server.start();
    for (const up of ups) await up.begin();
    await product.start();
    // Side by side, each group one after the other, but for the cuts, which all go at once.
    const run = async ({ name, run: work }: Scenario): Promise<void> => {
      try {
        await work();
      } catch (error) {
        failures.set(name, error as Error);
      }
    };
    const [cuts = [], ...others] = groups;
    await Promise.all([
      ...cuts.map(run),
      ...others.map(async (group) => {
        for (const scenario of group) await run(scenario);
      }),
    ]);
    await product.settle();
    sessions = await product.sessions();
  });
  after(() => server.stop());

  for (const { name, address, story, notes = [], check } of groups.flat())
    test(name, () => {
      const failure = failures.get(name);
      if (failure !== undefined) throw failure;
      const own = sessions.filter(({ client }) => client === address);
      const told = own.map(({ evidence, partial, close_reason: ended }) =>
        [evidence.kind, ...(partial ? ['partial'] : []), ...(ended === null ? [] : [ended])].join(
          ' ',
        ),
      );
      assert.deepEqual(told, story, JSON.stringify(own, null, 1));
      const noted = new Set(own.flatMap((session) => session.notes.map(({ kind }) => kind)));
      assert.deepEqual([...noted], notes);
      check?.(own);
    });

  test('nobody else has a session, and nothing was lost', () => {
    const known = new Set(groups.flat().map(({ address }) => address));
    assert.deepEqual(
      sessions.filter(({ client }) => !known.has(client)),
      [],
    );
    assert.deepEqual(
      sessions.filter(({ loss }) => loss > 0),
      [],
    );
  });
});
