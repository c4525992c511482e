/**
 * Clients of every kind of address, hundreds of them at once, what people call them, and what must
 * not end their sessions: a server or a recorder that starts anew, and a clock that is set.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { lacks } from '../capabilities.ts';
import { noteCompatibility } from '../compatibility.ts';
import { LabClient, NFS_VERSIONS } from './lab-client.ts';
import { namesOf, Product, type Session } from './product.ts';
import { LabServer, VICTIM_ROOT } from './server.ts';

const CROWD = 300;
const PAUSE_MS = 3_000;

describe('clients', { skip: lacks('root', 'qemu', 'debootstrap') }, () => {
  const server = new LabServer();
  const product = new Product(server);
  const client = (name: string, address: string): LabClient =>
    new LabClient({ server, name, address });
  const six = client('six', 'fd77::50');
  const six3 = client('six3', 'fd77::51');
  const local = client('local', 'fe80::77:52');
  const versions = NFS_VERSIONS.map((version, index) => ({
    version,
    client: client(`v${version.replace('.', '')}`, `10.77.0.${30 + index}`),
  }));

  const startDaemon = (): Promise<string> =>
    server.must(
      'setsid trace daemon --config /etc/trace.json >/lab/daemon.log 2>&1 &\n' +
        'until [ -S /run/nfsroot-trace/control.sock ]; do sleep 0.2; done',
      { timeoutMs: 300_000 },
    );
  const stepClock = (hours: number): Promise<string> =>
    server.must(`date -s @$(($(date +%s) + ${hours * 3600})) >/dev/null`);
  /** Evidence of each session of a client. */
  const storyOf = (sessions: readonly Session[], address: string): string[] =>
    sessions
      .filter((session) => session.client === address)
      .map(({ evidence, partial, close_reason: ended }) =>
        [evidence.kind, ...(partial ? ['partial'] : []), ...(ended === null ? [] : [ended])].join(
          ' ',
        ),
      );
  const note = (nfs: string, what: string, result: string): void =>
    noteCompatibility({ kernel: server.kernel, nfs, what, tier: 'exact', result });
  const settled = async (): Promise<Session[]> => {
    await product.settle();
    return product.sessions();
  };

  before(async () => {
    await server.start();
    await server.writeFile('/etc/trace.json', JSON.stringify({ reverseLookup: true }));
    await server.must('echo "10.77.0.30 node-thirty.example.net" >>/etc/hosts');
    await startDaemon();
    await product.start();
  });
  after(() => server.stop());

  test('IPv6, and link-local with its zone by name; a name from the resolver', async () => {
    await Promise.all(
      [six, six3, local, ...versions.map((one) => one.client)].map((c) => c.powerOn()),
    );
    await six.mount({ version: '4.2' });
    await six3.mount({ version: '3' });
    await local.mount({ version: '3' });
    for (const { version, client: one } of versions) await one.mount({ version });
    const all = [six, six3, local, ...versions.map((one) => one.client)];
    for (const one of all) await one.read('etc/hostname');
    await sleep(PAUSE_MS);
    const sessions = await settled();
    assert.deepEqual(storyOf(sessions, six.address), ['nfs4-new-client']);
    assert.deepEqual(storyOf(sessions, six3.address), ['nfs3-mount']);
    assert.deepEqual(storyOf(sessions, `${local.address}%br0`), ['nfs3-mount']);
    assert.equal(sessions.length, all.length);
    const named = sessions.find((session) => session.client === '10.77.0.30');
    assert.equal(named?.client_name, 'node-thirty.example.net');
    assert.equal(sessions.filter((session) => session.client_name !== null).length, 1);
    for (const { tier } of sessions) assert.equal(tier, 'exact');
    note('3', 'a client by IPv6', 'a session');
    note('4.2', 'a client by IPv6', 'a session');
    note('3', 'a client by IPv6, link-local', 'a session, with its zone');
  });

  test(`${CROWD} clients at once, each with what it read`, async () => {
    const files = ['etc/passwd', 'etc/group', 'etc/shells'];
    const crowd = Array.from({ length: CROWD }, (_, n) => ({
      from: `127.8.${Math.floor(n / 200)}.${1 + (n % 200)}`,
      server: '127.0.0.1',
      owner: Buffer.from(`Linux NFSv4.1 crowd-${n}`).toString('hex'),
      verifier: (n + 1).toString(16).padStart(16, '0'),
      paths: [`sarge/${files[n % files.length] ?? ''}`],
    }));
    await server.must('. /lab/lab.env; python3 "$LAB_REPOSITORY/test/lab/guest/raw_nfs4.py"', {
      input: Buffer.from(JSON.stringify(crowd)),
      timeoutMs: 300_000,
    });
    const sessions = (await settled()).filter((session) => session.client.startsWith('127.8.'));
    assert.equal(new Set(sessions.map((session) => session.client)).size, CROWD);
    assert.equal(sessions.length, CROWD);
    for (const { evidence, partial, loss } of sessions)
      assert.deepEqual([evidence.kind, partial, loss], ['nfs4-new-client', false, 0]);
    for (const n of [0, 1, 2, 299]) {
      const session = sessions.find((one) => one.client === crowd[n]?.from);
      assert.ok(session);
      const read = (await product.files(session)).filter((one) => one.operations.includes('read'));
      assert.deepEqual(read.flatMap(namesOf), [files[n % files.length]]);
    }
    const status = await product.trace('status');
    assert.match(status, /open sessions: 307/);
    assert.match(status, /has all\)/);
    note('4.1', `${CROWD} clients at once`, 'a session for each, with what it read');
  });

  test('labels: shown, found, taken once, refused when they would trouble a terminal', async () => {
    await product.trace(`client label ${six.address.toUpperCase()} rack1-07`);
    await product.trace("client label 10.77.0.99 'not seen yet'");
    assert.match(await product.trace('sessions --client rack1-07'), /rack1-07 \(fd77::50\)/);
    const taken = await server.run('trace client label 10.77.0.31 rack1-07');
    assert.match(taken.stderr, /fd77::50 has this label/);
    const bad = await server.run(`trace client label 10.77.0.31 "$(printf 'a\\033[2J')"`);
    assert.equal(bad.code, 64);
    const list = await product.trace('client list');
    assert.match(list, /10\.77\.0\.99 +not seen yet +0/);
    assert.match(list, /10\.77\.0\.30 +node-thirty/);
    await product.trace('client label 10.77.0.99 --remove');
    assert.doesNotMatch(await product.trace('client list'), /not seen yet/);
  });

  test('a server that starts anew while its clients are up: no new session, NFSv3 to 4.2', async () => {
    await server.must('rpc.nfsd 0; sleep 3; rpc.nfsd -G 10 -L 10 8');
    await Promise.all(
      [six, local, ...versions.map((one) => one.client)].map((one) =>
        one.must('cat etc/fstab >/dev/null', { timeoutMs: 120_000 }),
      ),
    );
    const sessions = await settled();
    for (const { version, client: one } of versions)
      assert.deepEqual(
        storyOf(sessions, one.address),
        [version === '3' ? 'nfs3-mount' : 'nfs4-new-client'],
        version,
      );
    assert.deepEqual(storyOf(sessions, six.address), ['nfs4-new-client']);
    assert.deepEqual(storyOf(sessions, `${local.address}%br0`), ['nfs3-mount']);
    for (const version of NFS_VERSIONS)
      note(version, 'a server that starts anew', 'the same session');
  });

  test('a clock that is set forward and back splits nothing, and times stay sane', async () => {
    const before = await product.sessions();
    for (const [hours, file] of [
      [1, 'etc/issue'],
      [-3, 'etc/profile'],
    ] as const) {
      await stepClock(hours);
      await Promise.all(versions.map(({ client: one }) => one.read(file)));
      await sleep(PAUSE_MS);
    }
    const sessions = await settled();
    const now = Number(await server.must('date +%s')) * 1000;
    await stepClock(2);
    assert.deepEqual(
      sessions.map(({ session }) => session),
      before.map(({ session }) => session),
    );
    for (const { client: one } of versions) {
      const session = sessions.find(({ client: address }) => address === one.address);
      const [opened, last] = [session?.opened, session?.last].map((text) => Date.parse(text ?? ''));
      assert.ok(opened !== undefined && last !== undefined);
      assert.ok(opened < last && last - opened < 600_000, `${opened} ${last}`);
      assert.ok(last <= now && now - last < 120_000, `${last} ${now}`);
    }
    for (const version of NFS_VERSIONS)
      note(version, "a server's clock that is set", 'the same session, its times in order');
  });

  test('a recorder that starts anew keeps sessions, and evidence that nobody had used yet', async () => {
    const late = client('late', '10.77.0.60');
    await late.powerOn();
    // Of the pseudo root alone: no access to the recorded one.
    const folder = await late.mount({ version: '4.2', root: '/nfsroots' });
    await late.must(`stat ${folder} >/dev/null`);
    const before = await settled();
    assert.deepEqual(storyOf(before, late.address), []);
    await product.trace('stop --daemon');
    // Noticed too: else everybody had been quiet for hours.
    await stepClock(5);
    await startDaemon();
    await Promise.all([
      late.must('cat sarge/etc/hostname >/dev/null'),
      ...versions.map(({ client: one }) => one.read('etc/group')),
    ]);
    const sessions = await settled();
    await stepClock(-5);
    assert.deepEqual(storyOf(sessions, late.address), ['nfs4-new-client partial']);
    for (const { client: one } of versions) {
      assert.equal(storyOf(sessions, one.address).length, 1, one.name);
      const session = sessions.find(({ client: address }) => address === one.address);
      assert.equal(session?.loss, 1, 'the time without a recorder');
    }
    for (const version of NFS_VERSIONS)
      note(version, 'a recorder that starts anew', 'the same session, with a loss');
  });

  test('--client: ranges of IPv6 and mapped addresses; others get no session', async () => {
    await product.trace('stop');
    await product.trace(
      `start --root ${VICTIM_ROOT} --client fd77::50/127 --client ::ffff:10.77.0.30/127`,
    );
    const all = [six, six3, local, ...versions.map((one) => one.client)];
    await Promise.all(all.map((one) => one.must('cat etc/bash.bashrc >/dev/null')));
    const open = (await settled()).filter(({ close_reason: ended }) => ended === null);
    assert.deepEqual(open.map((session) => session.client).sort(), [
      '10.77.0.30',
      '10.77.0.31',
      'fd77::50',
      'fd77::51',
    ]);
    assert.ok(open.every(({ partial }) => partial));
    for (const version of ['3', '4.0', '4.2'])
      note(version, 'a recording of some clients only', 'no session for any other');
  });
});
