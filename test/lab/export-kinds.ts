/**
 * The kinds of exports that the lab makes (guest/exports-setup.sh), what two clients do in each (c3
 * by NFSv3, c4 by NFSv4.2), and what must be recorded of it. Owns those; the tests choose which.
 */
import assert from 'node:assert/strict';
import { noteCompatibility } from '../compatibility.ts';
import type { SessionRow } from '../../src/store/types.ts';
import type { LabKernel } from './kernels.ts';
import { GUEST_CONTROL, RecordedSets } from './recorded-sets.ts';
import type { LabServer } from './server.ts';

export interface Kind {
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

export type Client = 'c3' | 'c4';
export const CLIENTS: readonly Client[] = ['c3', 'c4'];
export const ADDRESSES: Readonly<Record<Client, string>> = { c3: '10.77.0.31', c4: '10.77.0.32' };

export const KINDS: readonly Kind[] = [
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
export const INNER = 'shared/two/inner';

/** Those whose handles are made differently: enough where the kernel is another one. */
export const FEW_KINDS: readonly Kind[] = KINDS.filter(({ root }) =>
  ['fsid', 'memory', 'check', 'below/in', 'top'].includes(root),
);

/** A busy machine emulates ten times slower. */
export const PATIENCE_MS = 600_000;

/** What a client does in a directory with the usual files. */
export const USE = 'cat d1/a d2/c d2/a2 >/dev/null; readlink link >/dev/null; ls d1 >/dev/null';
export const at = (directory: string, name: string): string =>
  directory === '' ? name : `${directory}/${name}`;
export const readIn = (directory: string): string[] =>
  ['d1/a', 'd2/a2', 'd2/c'].map((name) => at(directory, name));

/** A shell command as a client. */
export function as(client: Client, shell: string): string {
  return `nsenter --net=/run/netns/${client} sh -ec '${shell}'`;
}
export function folder(client: Client, root: string): string {
  return `/m/${client}/${root}`;
}
export function mount(client: Client, root: string): string {
  const to = folder(client, root);
  return client === 'c3'
    ? `mkdir -p ${to}; mount -t nfs -o vers=3,nolock 10.77.0.1:/nfsroots/${root} ${to}`
    : `mkdir -p ${to}; mount -t nfs -o vers=4.2 10.77.0.1:/${root} ${to}`;
}

/** Makes the file systems, the exports and the clients; `few` for {@link FEW_KINDS} alone. */
export async function setUpExports(server: LabServer, kinds: readonly Kind[]): Promise<void> {
  const which = kinds === FEW_KINDS ? 'few' : '';
  await server.must(`sh test/lab/guest/exports-setup.sh ${which}`, { timeoutMs: PATIENCE_MS });
}

/** Begins to record the kinds' roots and further ones; gives what the daemon answered. */
export function record(
  server: LabServer,
  kinds: readonly Kind[],
  further: readonly string[] = [],
): Promise<string> {
  const roots = [...kinds.map(({ root }) => `/nfsroots/${root}`), ...further];
  return server.must(`node ${GUEST_CONTROL} start ${roots.join(' ')}`, { timeoutMs: PATIENCE_MS });
}

/** Each client does the usual in each kind; gives what is recorded of it. */
export async function useKinds(server: LabServer, kinds: readonly Kind[]): Promise<RecordedSets> {
  for (const client of CLIENTS) {
    const own = kinds.filter(({ root, only = client }) => root !== INNER && only === client);
    await server.must(['set -e', ...own.map((kind) => use(kind, client))].join('\n'), {
      timeoutMs: PATIENCE_MS,
    });
  }
  return RecordedSets.copy(server);
}

function use(kind: Kind, client: Client): string {
  return as(
    client,
    [
      mount(client, kind.mount ?? kind.root),
      ...(kind.used ?? ['']).map((used) => `cd ${folder(client, at(kind.root, used))}; ${USE}`),
      'cd /',
    ].join('; '),
  );
}

/** The newest session of a client on a root, which must have lost nothing. */
export function sessionOf(sets: RecordedSets, root: string, client: Client): SessionRow {
  const found = sets.sessions(`/nfsroots/${root}`, ADDRESSES[client]).at(-1);
  assert.ok(found !== undefined, `a session of ${client} on ${root}`);
  assert.deepEqual([found.loss, found.tier.split('+')[0]], [0, 'exact']);
  return found;
}

export interface KindOnKernel {
  readonly kind: Kind;
  readonly client: Client;
  readonly kernel: LabKernel;
}

/** What the client did in the kind's directories is what its session has; notes that. */
export function checkKind(sets: RecordedSets, { kind, client, kernel }: KindOnKernel): void {
  const used = kind.used ?? [''];
  const session = sessionOf(sets, kind.root, client);
  const files = used.flatMap(readIn);
  assert.deepEqual(sets.did(session, 'read', files), files.sort());
  const links = used.map((directory) => at(directory, 'link'));
  assert.deepEqual(sets.did(session, 'readlink', links), links.sort());
  const lists = used.map((directory) => at(directory, 'd1'));
  const listed = sets.did(session, 'readdir', lists);
  for (const list of lists) assert.ok(listed.includes(list), `${list} listed`);
  noteCompatibility({
    ...{ kernel, nfs: client === 'c3' ? '3' : '4.2' },
    ...{ exportKind: kind.name, fileSystem: kind.fileSystem, tier: session.tier },
    ...{ what: 'reads, links, listings', result: 'as the client did' },
  });
}
