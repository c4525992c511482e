/**
 * What is a boot and what is not, with real clients of the kernel: each NFS version booting,
 * remounting, cut off for five minutes, changing its version, sharing a name or an address. They all
 * go on beside each other; then the sessions are read once.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { lacks } from '../capabilities.ts';
import { noteCompatibility } from '../compatibility.ts';
import { behindOne, busyWhile, PAUSE_MS, type Scenario } from './boot-scenarios.ts';
import { BriefVictim, KEXEC } from './brief-victim.ts';
import { LabClient, NFS_VERSIONS, type NfsVersion } from './lab-client.ts';
import { Product, type Session } from './product.ts';
import { LabServer, VICTIM_ROOT } from './server.ts';

const CUT_MS = 300_000;

describe('boots', { skip: lacks('root', 'qemu', 'debootstrap') }, () => {
  const server = new LabServer({ ports: 3 });
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
      works: [[version, 'a power cut and a boot', 'a session for each boot']],
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
      works: [
        [
          version,
          'an unmount, a silence and a mount',
          version === '3' ? 'a new session' : 'the same session',
        ],
      ],
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
      works: [[version, 'a network cut of 5 minutes', 'the same session']],
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
      works: [[version, 'up before the recording', 'a session that is partial']],
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
      works: [['3 and 4.2', 'a boot with another version each time', 'a session for each boot']],
    };
  };

  const mixed = (): Scenario => {
    const client = newClient('mixed');
    const bootBoth = async (): Promise<void> => {
      const folder = await client.mount({ version: '3' });
      await client.read('etc/hostname');
      await busyWhile(client, folder, async () => {
        await sleep(1500);
        await client.mount({ version: '4.2', name: 'home' });
      });
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
      works: [['3 and 4.2', 'the root by one, /home by the other', 'a session for each boot']],
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
      works: [['4.2', 'two machines of one host name', 'a session for each, which says so']],
    }));
  };

  const pair = (kind: 'busy' | 'idle', one: string, two: string): Scenario => {
    const outer = newClient(`nat-${kind}`);
    const inner = [newClient(one), newClient(two)] as const;
    const isShared = async ({ address }: LabClient): Promise<boolean> =>
      (await product.sessionsOf(address)).some(({ notes }) => notes.length > 0);
    return behindOne({ server, outer, inner, active: kind === 'busy', isShared });
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
      works: [['4.1', 'a boot with the verifier of the boot before', 'a session for each boot']],
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
      works: [['4.2', 'a clock that begins at 1970 at each boot', 'a session for each boot']],
      check: ([, second]) => {
        const { verifier = '', previousVerifier = '' } = second?.evidence.detail ?? {};
        // Nanoseconds since 1970: both within a few minutes of it.
        for (const text of [verifier, previousVerifier])
          assert.ok(BigInt(`0x${text}`) < 600_000_000_000n, text);
      },
    };
  };

  const kexec = (version: '3' | '4.2', port: number): Scenario => {
    const victim = new BriefVictim({ server, version, port });
    const [first, next] =
      version === '3' ? ['nfs3-mount', 'nfs3-mount'] : ['nfs4-new-client', 'nfs4-verifier'];
    return {
      name: `NFSv${version}: a kernel that starts the next one itself (kexec) is a boot`,
      address: victim.address,
      run: async () => {
        await victim.bootAndKexec();
      },
      story: [`${first} boot`, next],
      works: [[version, 'a boot by kexec', 'a session for each boot']],
    };
  };

  const ups = (['3', '4.2'] as const).map(upOf);
  const groups: readonly (readonly Scenario[])[] = [
    (['3', '4.0', '4.2'] as const).map(cutOf),
    [clockless(), kexec('4.2', 2), ...ups, pair('busy', 'nat-a', 'nat-b')],
    [sameVerifier(), ...NFS_VERSIONS.map(bootsOf), pair('idle', 'nat-c', 'nat-d')],
    [kexec('3', 1), ...clones(), ...NFS_VERSIONS.map(remountOf), changes(), mixed()],
  ];

  before(async () => {
    await server.start();
    // The root has neither a kernel nor kexec(8): those of the machines themselves, and a script.
    const { kernel, victimInitramfs } = server.artifacts;
    await server.must(
      `mkdir -p ${VICTIM_ROOT}/boot && cd ${VICTIM_ROOT}/boot && ` +
        `cp ${kernel} lab-kernel && cp ${victimInitramfs} lab-initrd`,
    );
    await server.writeFile(`${VICTIM_ROOT}/boot/lab-kexec`, KEXEC);
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

  for (const { name, address, story, notes = [], works, check } of groups.flat())
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
      const tier = own[0]?.tier ?? '';
      for (const [nfs, what, result] of works)
        noteCompatibility({ kernel: server.kernel, nfs, what, tier, result });
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
