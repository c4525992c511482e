/**
 * Every kind of export in one server: what two clients (c3 by NFSv3, c4 by NFSv4.2) really used is
 * what is recorded, under the right paths, without a loss, and both witnesses agree.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import type { SessionRow } from '../../src/store/types.ts';
import {
  ADDRESSES,
  as,
  at,
  checkKind,
  CLIENTS,
  folder,
  KINDS,
  mount,
  PATIENCE_MS,
  readIn,
  record,
  sessionOf,
  setUpExports,
  USE,
  useKinds,
  type Client,
} from './export-kinds.ts';
import { Product } from './product.ts';
import { RecordedSets } from './recorded-sets.ts';
import { LabServer } from './server.ts';

const LATE = folder('c4', 'cross/late');
/** What is mounted, used and unmounted between two looks of the recorder is never seen. */
const LOOKED_AT = 'sleep 3';
/** What is done on the server and by clients while the recordings run, after everything else. */
const CHANGES: readonly string[] = [
  // A mount that is exported by itself, below a root that is not exported across mounts.
  as(
    'c3',
    `mkdir -p /m/plain; mount -t nfs -o vers=3,nolock 10.77.0.1:/srv/plain /m/plain; cd /m/plain; ${USE}; cd own; ${USE}; ls ../hidden`,
  ),
  as('c3', `${mount('c3', 'bound')}; cat ${folder('c3', 'bound')}/b`),
  as('c4', `cd ${folder('c4', 'overlay')}; echo more >>d2/unused; cat d2/unused`),
  // The file moves while the client holds a handle that names its directory.
  as(
    'c3',
    `exec 5<${folder('c3', 'check')}/d1/b; mv /nfsroots/check/d1/b /nfsroots/check/d2/moved; cat <&5`,
  ),
  'sed -i "s#^/nfsroots/uuid .*#/nfsroots/uuid *(fsid=77,rw,no_root_squash,no_subtree_check,insecure)#" /etc/exports',
  'exportfs -ra',
  as('c3', `cat ${folder('c3', 'uuid')}/d1/b`),
  'exportfs -u "*:/nfsroots/uuid"; exportfs -ra',
  as(
    'c4',
    `umount ${folder('c4', 'uuid')}; ${mount('c4', 'uuid')}; cat ${folder('c4', 'uuid')}/d2/unused`,
  ),
  // One file system is mounted where nothing was, and then another.
  '. test/lab/guest/exports-setup.sh; cd /nfsroots',
  'on ext4 cross/late',
  LOOKED_AT,
  as('c4', `cat ${LATE}/d1/a`),
  LOOKED_AT,
  as('c4', `umount ${LATE}`),
  // The server's cache of open files lets go of it within seconds, whoever asks.
  'exportfs -f; for i in $(seq 100); do umount cross/late && break; sleep 0.3; done',
  'on xfs cross/late; echo other > cross/late/d1/other',
  as('c4', `cat ${LATE}/d1/other`),
];

describe('kinds of exports', { skip: lacks('root', 'qemu', 'debootstrap') }, () => {
  const server = new LabServer();
  const product = new Product(server);
  let sets: RecordedSets;
  /** After {@link CHANGES}. */
  let later: RecordedSets;
  let warnings: string;

  const session = (root: string, client: Client): SessionRow => sessionOf(sets, root, client);
  const reads = (root: string, client: Client, expected: readonly string[], of = sets): void => {
    assert.deepEqual(of.did(sessionOf(of, root, client), 'read', expected), [...expected].sort());
  };

  before(async () => {
    await server.start();
    await setUpExports(server, KINDS);
    await server.must(
      'setsid trace daemon </dev/null >/daemon.log 2>&1 & ' +
        'for i in $(seq 1200); do [ -S /run/nfsroot-trace/control.sock ] && exit; sleep 0.5; done; cat /daemon.log; exit 1',
      { timeoutMs: PATIENCE_MS },
    );
    warnings = await record(server, KINDS, ['/nfsroots/bound', '/srv/plain']);
    sets = await useKinds(server, KINDS);
    await server.must(['set -e', ...CHANGES].join('\n'), { timeoutMs: PATIENCE_MS });
    later = await RecordedSets.copy(server);
  });
  after(() => server.stop());

  for (const kind of KINDS)
    for (const client of CLIENTS) {
      if ((kind.only ?? client) !== client) continue;
      test(`${kind.name}: ${client === 'c3' ? 'NFSv3' : 'NFSv4.2'}`, () => {
        checkKind(sets, { kind, client, kernel: 'bookworm' });
      });
    }

  test('nothing is unresolved, and nobody else has a session', () => {
    assert.deepEqual(sets.losses(), []);
    assert.equal(sets.status.unresolved, 0);
    assert.equal(sets.sessions('/nfsroots/first', ADDRESSES.c4).length, 0);
    assert.equal(sets.sessions('/nfsroots/second', ADDRESSES.c3).length, 0);
    assert.equal(sets.sessions('/nfsroots/bound', ADDRESSES.c3).length, 1, 'fsid/d1, the same');
  });

  test('an image of files on several file systems', async () => {
    const found = session('cross', 'c3');
    const { file } = await product.export({ session: `session-${found.id}` }, 'cross.cpio');
    const names = execFileSync('cpio', ['-it', '--quiet', '-F', file], { encoding: 'utf8' })
      .split('\n')
      .filter((name) => /(a|c|link)$/.test(name));
    for (const used of ['', 'xfs', 'tmpfs', 'btrfs', 'btrfs/deep'])
      for (const name of ['d1/a', 'd2/c', 'link'])
        assert.ok(names.includes(at(used, name)), `${at(used, name)} in ${names.join(' ')}`);
    assert.ok(names.includes('bind/a'), 'd1/a has that name too');
  });

  test('a mount below a root that is exported by itself is recorded, any other is reported', () => {
    assert.match(warnings, /"1 other file systems are mounted below \/srv\/plain/);
    const [found] = later.sessions('/srv/plain', ADDRESSES.c3);
    assert.ok(found !== undefined);
    assert.equal(found.loss, 0);
    const expected = [...readIn(''), ...readIn('own')];
    assert.deepEqual(later.did(found, 'read', expected), expected.sort());
  });

  test('the same directory by two exports', () => {
    reads('bound', 'c3', ['b'], later);
    reads('fsid', 'c3', [...readIn(''), 'd1/b'], later);
  });

  test('a file of an overlay that a client’s writing copies up stays the same file', () => {
    reads('overlay', 'c4', [...readIn(''), 'd2/unused'], later);
  });

  test('with subtree_check a handle stays good when its file moves', () => {
    reads('check', 'c3', [...readIn(''), 'd2/moved'], later);
  });

  test('an fsid that changes, an export that goes and comes back', () => {
    reads('uuid', 'c3', [...readIn(''), 'd1/b'], later);
    reads('uuid', 'c4', [...readIn(''), 'd2/unused'], later);
  });

  test('a file system that is mounted, and another in its place, while recording', () => {
    const before = ['', 'xfs', 'tmpfs', 'btrfs', 'btrfs/deep'].flatMap(readIn);
    reads('cross', 'c4', [...before, 'late/d1/a', 'late/d2/a2', 'late/d1/other'], later);
  });

  test('nothing is unresolved after the changes either', () => {
    assert.deepEqual(later.losses(), []);
    assert.equal(later.status.unresolved, 0);
  });
});
