/**
 * The NFS source alone on a real server: waits for the module, then sees every read with its client,
 * and every mount as docs/nfsd-trace.md tells it. The clients are network namespaces of the server.
 */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { NfsBatch, NfsMarker, NfsRow } from '../../src/common/batches.ts';
import type { NfsdStatus } from '../../src/capture/nfsd-source.ts';
import { lacks } from '../capabilities.ts';
import { GUEST_SHARE, LabServer } from './server.ts';

interface Result {
  readonly states: string[];
  readonly batches: Readonly<Record<string, NfsBatch>>;
  readonly last: NfsBatch;
  readonly status: NfsdStatus;
  /** What rmmod says while the source runs, and after its stop. */
  readonly beforeUnload: string;
  readonly afterStop: string;
}

const CLIENTS = { c1: '10.77.0.21', c2: '10.77.0.22', c3: '10.77.0.23' };
const READS = 40;

function mount(client: string, version: string, folder: string): string {
  const where = version === '3' ? '/nfsroots/sarge' : '/sarge';
  const options = `ro,vers=${version}${version === '3' ? ',nolock' : ''}`;
  return `mkdir -p ${folder}; nsenter --net=/run/netns/${client} mount -t nfs -o ${options} 10.77.0.1:${where} ${folder}`;
}

/** A namespace on the server's bridge; another one of the same address is the machine after a reset. */
function plug(client: string, address: string): string {
  return [
    `ip netns add ${client}`,
    `ip link add v-${client} type veth peer name eth0 netns ${client}`,
    `ip link set v-${client} master br0 up`,
    `ip -n ${client} addr add ${address}/24 dev eth0`,
    `ip -n ${client} link set eth0 up`,
    `ip -n ${client} link set lo up`,
  ].join('; ');
}

/** Each read of the file comes from the server: direct I/O leaves no client cache. */
function readDirect(folder: string, file: string, times: number): string {
  return `for i in $(seq ${times}); do dd if=${folder}/${file} of=/dev/null bs=4096 count=2 iflag=direct status=none; done`;
}

const steps = [
  ...Object.entries(CLIENTS).map(([name, address]) => ({
    name: `plug ${name}`,
    run: plug(name, address),
  })),
  { name: 'v3 mount', run: mount('c1', '3', '/m/c1') },
  { name: 'v3 readlink', run: 'readlink /m/c1/bin' },
  { name: 'v3 umount', run: 'umount /m/c1' },
  { name: 'v3 remount', run: mount('c1', '3', '/m/c1') },
  { name: 'v4 mount', run: mount('c2', '4.2', '/m/c2') },
  {
    name: 'both read at once',
    run:
      `(${readDirect('/m/c1', 'usr/bin/bash', READS)}) & (${readDirect('/m/c2', 'usr/bin/bash', READS)}) & ` +
      `(${readDirect('/m/c1', 'usr/bin/perl', READS)}) & (${readDirect('/m/c2', 'usr/bin/perl', READS)}) & wait`,
  },
  {
    name: 'denied',
    run: 'setpriv --reuid 1000 --clear-groups cat /m/c2/etc/shadow 2>/dev/null || true',
  },
  { name: 'v4 umount', run: 'umount /m/c2' },
  { name: 'v4 remount', run: mount('c2', '4.2', '/m/c2') },
  {
    name: 'v4 reset',
    run: `ip link set v-c2 down; ${plug('c2b', CLIENTS.c2)}; ${mount('c2b', '4.2', '/m/c2b')}`,
  },
  { name: 'v4 clone', run: mount('c3', '4.2', '/m/c3') },
  { name: 'v4 umount after clone', run: 'umount /m/c3' },
];

function markers(batch: NfsBatch | undefined): string[] {
  return (
    batch?.markers.map(({ kind, client }) => (client === '' ? kind : `${kind} ${client}`)) ?? []
  );
}

/** [reads, bytes] of one client in a batch, by handle. */
function readsOf(batch: NfsBatch | undefined, client: string): [number, number][] {
  const rows = batch?.rows.filter((row) => row.kind === 'read' && row.client === client) ?? [];
  const sums = new Map<number, [number, number]>();
  for (const { hash, count, bytes } of rows) {
    const [counts, sum] = sums.get(hash) ?? [0, 0];
    sums.set(hash, [counts + count, sum + bytes]);
  }
  return [...sums.values()];
}

describe('the NFS source', { skip: lacks('root', 'qemu', 'debootstrap') }, () => {
  const server = new LabServer();
  let result: Result;

  before(async () => {
    await server.start();
    await writeFile(path.join(server.share, 'steps.json'), JSON.stringify(steps));
    await server.must(
      `node test/lab/guest/record-nfsd.ts ${GUEST_SHARE}/steps.json ${GUEST_SHARE}/result.json`,
      { timeoutMs: 300_000 },
    );
    const text = await readFile(path.join(server.share, 'result.json'), 'utf8');
    result = JSON.parse(text) as Result;
  });
  after(() => server.stop());

  test('waits for the module, runs when it is there, and keeps it loaded', (t) => {
    assert.deepEqual(result.states, ['waiting', 'running']);
    assert.equal(result.status.tier, 'exact');
    assert.match(result.beforeUnload, /in use|busy|unavailable/i);
    assert.equal(result.afterStop, '');
    t.diagnostic(`${result.status.events} events, ${result.status.threadCpuUs} us of CPU`);
  });

  test('loses nothing and joins everything', () => {
    const { lost, joinMismatches, zeroHashes, filtersRefused } = result.status;
    assert.deepEqual([lost, joinMismatches, zeroHashes, filtersRefused], [0, 0, 0, 0]);
    for (const batch of [...Object.values(result.batches), result.last])
      assert.deepEqual(batch.losses, []);
  });

  test('every read of two clients on the same files goes to the one that made it', () => {
    const batch = result.batches['both read at once'];
    const each: [number, number][] = [
      [READS * 2, READS * 8192],
      [READS * 2, READS * 8192],
    ];
    assert.deepEqual(readsOf(batch, CLIENTS.c1), each);
    assert.deepEqual(readsOf(batch, CLIENTS.c2), each);
    assert.equal(batch?.rows.filter(({ client }) => client === '').length, 0);
  });

  test('a refused open leaves no row that asks for reading', () => {
    const refused = (row: NfsRow): boolean => row.type === 0o100000 && (row.access & 4) !== 0;
    assert.deepEqual(result.batches['denied']?.rows.filter(refused), []);
    assert.ok(result.status.denied > 0);
  });

  test('a symbolic link that is read shows as type LNK', () => {
    const links = result.batches['v3 readlink']?.rows.filter(({ type }) => type === 0o120000);
    assert.deepEqual(
      links?.map(({ client }) => client),
      [CLIENTS.c1],
    );
  });

  test('an NFSv3 mount, each time, is FSINFO of the root, twice', () => {
    const expected = [`fsinfo ${CLIENTS.c1}`, `fsinfo ${CLIENTS.c1}`];
    assert.deepEqual(markers(result.batches['v3 mount']), expected);
    assert.deepEqual(markers(result.batches['v3 umount']), []);
    assert.deepEqual(markers(result.batches['v3 remount']), expected);
    const first = result.batches['v3 mount'];
    assert.ok(first?.rows.every(({ epoch }) => epoch >= (first.markers[0]?.epoch ?? Infinity)));
  });

  test('an NFSv4.2 mount, unmount and remount', () => {
    const fresh = `fresh ${CLIENTS.c2}`;
    const expected = [fresh, fresh, 'expire_unconf', 'confirmed', 'reclaim_complete'];
    const { batches } = result;
    assert.deepEqual(markers(batches['v4 mount']), expected);
    assert.deepEqual(markers(batches['v4 umount']), ['destroyed']);
    assert.deepEqual(markers(batches['v4 remount']), expected);
    const verifiers = ['v4 mount', 'v4 remount'].flatMap((step) =>
      (batches[step]?.markers ?? [])
        .filter(({ kind }) => kind === 'fresh')
        .map(({ verifier }) => verifier),
    );
    assert.equal(new Set(verifiers).size, 1, 'the same boot');
  });

  test('a reset changes the verifier; so does a clone, from another address', () => {
    const changed = (client: string): string[] => [
      `verf_mismatch ${client}`,
      `verf_mismatch ${client}`,
      'replaced',
      'confirmed',
      'reclaim_complete',
    ];
    assert.deepEqual(markers(result.batches['v4 reset']), changed(CLIENTS.c2));
    assert.deepEqual(markers(result.batches['v4 clone']), changed(CLIENTS.c3));
    const [reset] = result.batches['v4 reset']?.markers ?? [];
    const [clone] = result.batches['v4 clone']?.markers ?? [];
    const mounted = result.batches['v4 remount']?.markers.find(
      ({ kind }: NfsMarker) => kind === 'fresh',
    );
    assert.equal(reset?.oldVerifier, mounted?.verifier);
    assert.equal(clone?.oldVerifier, reset?.verifier);
  });
});
