/**
 * When the two witnesses disagree it is loss. Provoked for real: the daemon stands still behind a
 * ring of one page, so the trace overflows while fanotify's queue, which has no bound, keeps all.
 * Access times then tell what was lost, as long as only one client can have made them.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { LossRow } from '../../src/store/types.ts';
import { lacks } from '../capabilities.ts';
import { LabClient } from './lab-client.ts';
import { Product } from './product.ts';
import { RecordedSets, type SeenFile } from './recorded-sets.ts';
import { GUEST_SHARE, LabServer, VICTIM_ROOT } from './server.ts';

const FILES = 40;
const CONFIG = { traceRingBytes: 4096 };

interface Shown {
  readonly losses: readonly LossRow[];
  readonly files: readonly SeenFile[];
}

describe('the second witness', { skip: lacks('root', 'qemu', 'debootstrap') }, () => {
  const server = new LabServer();
  const product = new Product(server);

  const client = new LabClient({ server, name: 'c1', address: '10.77.0.21' });
  const second = new LabClient({ server, name: 'c2', address: '10.77.0.22' });

  const startDaemon = (): Promise<string> =>
    server.must(
      `setsid trace daemon --config ${GUEST_SHARE}/config.json </dev/null >/daemon.log 2>&1 & ` +
        'pid=$!; echo $pid > /daemon.pid; ' +
        `until grep -q '"msg":"recording"' /daemon.log; do kill -0 $pid || { cat /daemon.log; exit 1; }; sleep 0.2; done`,
      { timeoutMs: 180_000 },
    );
  const shown = (sets: RecordedSets, address: string): Shown => {
    const [session, ...others] = sets.sessions(VICTIM_ROOT, address);
    assert.ok(session !== undefined && others.length === 0);
    return { losses: sets.lossesOf(session), files: sets.files(session) };
  };
  const look = async (): Promise<Shown> => shown(await RecordedSets.copy(server), client.address);
  /** Paths whose access times alone are known. */
  const weak = ({ files }: Shown): string[] =>
    files
      .filter(({ evidence }) => evidence.join() === 'atime')
      .map(({ names }) => names[0] ?? '')
      .sort();

  before(async () => {
    await server.start();
    // Else an access time may stay what it was, however often a file is read.
    await server.must(`mount -o remount,strictatime ${VICTIM_ROOT}`);
    await server.writeFile(`${GUEST_SHARE}/config.json`, JSON.stringify(CONFIG));
    await startDaemon();
    await product.start();
    await client.powerOn();
    await client.mount({ version: '3' });
  });
  after(() => server.stop());

  test('agrees while nothing is lost', async () => {
    await client.read('etc/passwd', 'etc/debian_version');
    assert.deepEqual((await look()).losses, []);
  });

  test('finds the reads that an overflowing trace lost, and access times give them back', async () => {
    const names = (await client.list('usr/bin')).slice(0, FILES).map((name) => `usr/bin/${name}`);
    const read = names.map((name) => `dd if=${name} of=/dev/null bs=4096 count=1 iflag=direct`);
    await server.must('kill -STOP $(cat /daemon.pid)');
    await client.run(read.join('; '));
    await server.must('kill -CONT $(cat /daemon.pid)');
    const found = await look();
    const places = new Map(found.losses.map(({ where, count }) => [where, count]));
    assert.ok((places.get('trace-ring') ?? 0) > 0, 'the ring overflowed');
    assert.ok((places.get('witness-trace') ?? 0) > 0, 'fanotify knows of reads that it lost');
    const witness = found.losses.find(({ where }) => where === 'witness-trace');
    assert.match(witness?.detail ?? '', /usr\/bin\//);
    assert.ok(weak(found).length > 0);
    const targets = await server.must(
      `cd ${VICTIM_ROOT} && realpath --relative-to=. ${names.join(' ')} | sort -u`,
    );
    const known = new Set(found.files.flatMap(({ names: all }) => all));
    for (const name of targets.trim().split('\n'))
      assert.ok(known.has(name) || name.startsWith('..'), `${name} is not in the session`);
  });

  test('what the only client read while no daemon ran is in its session, and nothing else', async () => {
    const before = new Set(weak(await look()));
    await server.must('kill -KILL $(cat /daemon.pid)');
    await client.readDirect('etc/profile');
    await client.readlink('etc/os-release');
    await startDaemon();
    const found = await look();
    assert.deepEqual(
      weak(found).filter((name) => !before.has(name)),
      ['etc/os-release', 'etc/profile'],
    );
    const gap = found.losses.find(({ where }) => where === 'daemon-restart');
    assert.match(
      gap?.detail ?? '',
      /2 of them new to session-1, which has them with evidence atime/,
    );
  });

  test('with two clients nobody gets what either may have read', async () => {
    await second.powerOn();
    await second.mount({ version: '4.2' });
    await second.read('etc/passwd');
    const before = weak(await look());
    await server.must('kill -KILL $(cat /daemon.pid)');
    await second.readDirect('etc/bash.bashrc');
    await startDaemon();
    const sets = await RecordedSets.copy(server);
    const [one, two] = [shown(sets, client.address), shown(sets, second.address)];
    assert.deepEqual([weak(one), weak(two)], [before, []]);
    for (const { losses } of [one, two])
      assert.match(
        losses.find(
          ({ where, detail }) => where === 'daemon-restart' && /2 sess/.test(detail ?? ''),
        )?.detail ?? '',
        /1 file has an access time in that time; 2 sessions were open/,
      );
  });
});
