/**
 * When the two witnesses disagree it is loss. Provoked for real: the daemon stands still behind a
 * ring of one page, so the trace overflows while fanotify's queue, which has no bound, keeps all.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { Product } from './product.ts';
import { GUEST_SHARE, LabServer, VICTIM_ROOT } from './server.ts';

const CLIENT = '10.77.0.21';
const FILES = 40;
const PLUG = [
  'ip netns add c1',
  'ip link add v-c1 type veth peer name eth0 netns c1',
  'ip link set v-c1 master br0 up',
  `ip -n c1 addr add ${CLIENT}/24 dev eth0`,
  'ip -n c1 link set eth0 up',
  'ip -n c1 link set lo up',
].join('; ');
const MOUNT =
  'mkdir -p /m; nsenter --net=/run/netns/c1 ' +
  `mount -t nfs -o ro,vers=3,nolock 10.77.0.1:${VICTIM_ROOT} /m`;
const CONFIG = { traceRingBytes: 4096 };

describe('the second witness', { skip: lacks('root', 'qemu', 'debootstrap') }, () => {
  const server = new LabServer();
  const product = new Product(server);

  before(async () => {
    await server.start();
    await server.writeFile(`${GUEST_SHARE}/config.json`, JSON.stringify(CONFIG));
    await server.must(
      `setsid trace daemon --config ${GUEST_SHARE}/config.json </dev/null >/daemon.log 2>&1 & ` +
        'echo $! > /daemon.pid; for i in $(seq 240); do [ -S /run/nfsroot-trace/control.sock ] && exit; sleep 0.5; done; cat /daemon.log; exit 1',
      { timeoutMs: 180_000 },
    );
    await product.start();
    await server.must(`${PLUG}; ${MOUNT}`);
  });
  after(() => server.stop());

  test('agrees while nothing is lost', async () => {
    await server.must('cat /m/etc/passwd /m/etc/debian_version > /dev/null');
    await product.settle();
    const [session] = await product.sessionsOf(CLIENT);
    assert.equal(session?.loss, 0);
  });

  test('finds the reads that an overflowing trace lost', async () => {
    const read = `for f in $(ls /m/usr/bin | head -n ${FILES}); do dd if=/m/usr/bin/$f of=/dev/null bs=4096 count=1 iflag=direct status=none; done`;
    await server.must(`kill -STOP $(cat /daemon.pid); ${read}; kill -CONT $(cat /daemon.pid)`);
    await product.settle();
    const [session] = await product.sessionsOf(CLIENT);
    assert.ok(session !== undefined);
    const { losses } = JSON.parse(await product.trace(`show ${session.session} --json`)) as {
      losses: { where: string; count: number; detail: string | null }[];
    };
    const places = new Map(losses.map(({ where, count }) => [where, count]));
    assert.ok((places.get('trace-ring') ?? 0) > 0, 'the ring overflowed');
    assert.ok((places.get('witness-trace') ?? 0) > 0, 'fanotify knows of reads that it lost');
    assert.match(losses.find(({ where }) => where === 'witness-trace')?.detail ?? '', /usr\/bin\//);
  });
});
