/**
 * Every kind of export in one server: what two clients (c3 by NFSv3, c4 by NFSv4.2) really used is
 * what is recorded, under the right paths, without a loss, and both witnesses agree.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { noteCompatibility, type Compatibility } from '../compatibility.ts';
import { Product } from './product.ts';
import { GUEST_CONTROL, RecordedSets } from './recorded-sets.ts';
import { LabServer } from './server.ts';

interface Kind {
  readonly name: string;
  readonly fileSystem: string;
  /** Recorded, below /nfsroots. */
  readonly root: string;
  /** What clients mount; default: the root. */
  readonly mount?: string;
  /** Directories with the usual files, from the root. Default: the root alone. */
  readonly used?: readonly string[];
  /** One client only: its export is for that one. */
  readonly only?: Client;
}

type Client = 'c3' | 'c4';
const CLIENTS: readonly Client[] = ['c3', 'c4'];
const ADDRESSES: Readonly<Record<Client, string>> = { c3: '10.77.0.31', c4: '10.77.0.32' };

const KINDS: readonly Kind[] = [
  { name: 'fsid=N on ext4', fileSystem: 'ext4', root: 'fsid' },
  { name: 'a UUID on ext4', fileSystem: 'ext4', root: 'uuid' },
  { name: 'in the fsid=0 export', fileSystem: 'tmpfs', root: 'zero' },
  { name: 'fsid=N on an overlay, nfs_export=on', fileSystem: 'overlay', root: 'overlay' },
  { name: 'fsid=N on tmpfs', fileSystem: 'tmpfs', root: 'memory' },
  {
    name: 'subtree_check on ext4, a hard link in two directories',
    fileSystem: 'ext4',
    root: 'check',
  },
  { name: 'below the mount point of an XFS', fileSystem: 'XFS', root: 'below/in' },
  {
    name: 'below the mount point of an XFS, subtree_check',
    fileSystem: 'XFS',
    root: 'checkbelow/in',
  },
  {
    name: 'a btrfs with a subvolume, subtree_check',
    fileSystem: 'btrfs',
    root: 'top',
    used: ['', 'sub'],
  },
  { name: 'a btrfs subvolume alone, subtree_check', fileSystem: 'btrfs', root: 'subvol' },
  {
    name: 'crossmnt: XFS, tmpfs, btrfs, and ext4 in that, below an ext4',
    fileSystem: 'ext4, XFS, tmpfs, btrfs',
    root: 'cross',
    used: ['', 'xfs', 'tmpfs', 'btrfs', 'btrfs/deep'],
  },
  { name: 'one of two roots on a file system', fileSystem: 'ext4', root: 'shared/one' },
  {
    name: 'the other, with a root of its own inside',
    fileSystem: 'ext4',
    root: 'shared/two',
    used: ['', 'inner'],
  },
  {
    name: 'a root inside another, by the export of the outer',
    fileSystem: 'ext4',
    root: 'shared/two/inner',
  },
  {
    name: 'a root exported to each client with another fsid and options',
    fileSystem: 'ext4',
    root: 'twice',
  },
  {
    name: 'one fsid for two roots: the first client’s',
    fileSystem: 'ext4',
    root: 'first',
    only: 'c3',
  },
  {
    name: 'one fsid for two roots: the second client’s',
    fileSystem: 'ext4',
    root: 'second',
    only: 'c4',
  },
];
/** Not mounted by itself: see the root that it is in. */
const INNER = 'shared/two/inner';

const note = (row: Pick<Compatibility, 'nfs' | 'exportKind' | 'fileSystem'>): void =>
  noteCompatibility({
    kernel: 'bookworm',
    ...row,
    what: 'reads, links, listings',
    tier: 'exact',
    result: 'as the client did',
  });

/** A busy machine emulates ten times slower. */
const PATIENCE_MS = 600_000;

/** What a client does in a directory with the usual files. */
const USE = 'cat d1/a d2/c d2/a2 >/dev/null; readlink link >/dev/null; ls d1 >/dev/null';
const at = (directory: string, name: string): string =>
  directory === '' ? name : `${directory}/${name}`;
const readIn = (directory: string): string[] =>
  ['d1/a', 'd2/a2', 'd2/c'].map((name) => at(directory, name));

/** A shell command as a client. */
function as(client: Client, shell: string): string {
  return `nsenter --net=/run/netns/${client} sh -ec '${shell}'`;
}
function folder(client: Client, root: string): string {
  return `/m/${client}/${root}`;
}
function mount(client: Client, root: string): string {
  const to = folder(client, root);
  return client === 'c3'
    ? `mkdir -p ${to}; mount -t nfs -o vers=3,nolock 10.77.0.1:/nfsroots/${root} ${to}`
    : `mkdir -p ${to}; mount -t nfs -o vers=4.2 10.77.0.1:/${root} ${to}`;
}

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

  const use = (kind: Kind, client: Client): string =>
    as(
      client,
      [
        mount(client, kind.mount ?? kind.root),
        ...(kind.used ?? ['']).map((used) => `cd ${folder(client, at(kind.root, used))}; ${USE}`),
        'cd /',
      ].join('; '),
    );
  /** The newest session of a client on a root, which must have lost nothing. */
  const session = (root: string, client: Client, of = sets) => {
    const found = of.sessions(`/nfsroots/${root}`, ADDRESSES[client]).at(-1);
    assert.ok(found !== undefined, `a session of ${client} on ${root}`);
    assert.deepEqual([found.loss, found.tier.split('+')[0]], [0, 'exact']);
    return found;
  };
  const reads = (root: string, client: Client, expected: readonly string[], of = sets): void => {
    assert.deepEqual(of.did(session(root, client, of), 'read', expected), [...expected].sort());
  };

  before(async () => {
    await server.start();
    await server.must('sh test/lab/guest/exports-setup.sh', { timeoutMs: PATIENCE_MS });
    await server.must(
      'setsid trace daemon </dev/null >/daemon.log 2>&1 & ' +
        'for i in $(seq 1200); do [ -S /run/nfsroot-trace/control.sock ] && exit; sleep 0.5; done; cat /daemon.log; exit 1',
      { timeoutMs: PATIENCE_MS },
    );
    const roots = KINDS.map(({ root }) => `/nfsroots/${root}`).concat(
      '/nfsroots/bound',
      '/srv/plain',
    );
    warnings = await server.must(`node ${GUEST_CONTROL} start ${roots.join(' ')}`, {
      timeoutMs: PATIENCE_MS,
    });
    for (const client of CLIENTS) {
      const kinds = KINDS.filter(({ root, only = client }) => root !== INNER && only === client);
      await server.must(['set -e', ...kinds.map((kind) => use(kind, client))].join('\n'), {
        timeoutMs: PATIENCE_MS,
      });
    }
    sets = await RecordedSets.copy(server);
    await server.must(['set -e', ...CHANGES].join('\n'), { timeoutMs: PATIENCE_MS });
    later = await RecordedSets.copy(server);
  });
  after(() => server.stop());

  for (const kind of KINDS)
    for (const client of CLIENTS) {
      if ((kind.only ?? client) !== client) continue;
      test(`${kind.name}: ${client === 'c3' ? 'NFSv3' : 'NFSv4.2'}`, () => {
        const used = kind.used ?? [''];
        reads(kind.root, client, used.flatMap(readIn));
        const links = used.map((directory) => at(directory, 'link'));
        assert.deepEqual(sets.did(session(kind.root, client), 'readlink', links), links.sort());
        const lists = used.map((directory) => at(directory, 'd1'));
        const listed = sets.did(session(kind.root, client), 'readdir', lists);
        for (const list of lists) assert.ok(listed.includes(list), `${list} listed`);
        const nfs = client === 'c3' ? '3' : '4.2';
        note({ nfs, exportKind: kind.name, fileSystem: kind.fileSystem });
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
