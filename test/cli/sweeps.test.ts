/** Sweeps from the database to the image: by the command itself and through the daemon. */
import assert from 'node:assert/strict';
import { chownSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { SessionTier } from '../../src/common/words.ts';
import type { SweepReport, UnsearchedReport } from '../../src/daemon/image-report.ts';
import { Store, type AccessUpdate } from '../../src/store/store.ts';
import { lacks } from '../capabilities.ts';
import { debianLike, MadeUpClient } from '../image/sweeps/made-up-client.ts';
import { randomFrom } from '../replay/variations.ts';
import { T0 } from '../support/recorded-place.ts';
import { TraceSandbox, type RunOptions } from '../support/trace-sandbox.ts';

const NOBODY = 65_534;
const SECOND = 1_000_000;
const made = debianLike();

interface Report {
  readonly sweeps: readonly SweepReport[];
  readonly sweeps_not_looked_for: readonly UnsearchedReport[];
  readonly left_out: readonly { readonly path: string; readonly why: string }[];
  readonly output: string;
}

/** Session → NFS version, and the sweep between a boot and what goes on after it. */
const SESSIONS: readonly (readonly [3 | 4, (client: MadeUpClient) => void, number?])[] = [
  [3, () => undefined],
  [3, (client) => client.find('')],
  [3, (client) => client.tar('')],
  [4, (client) => client.tar('')],
  [3, (client) => client.tar(''), 1],
  [3, (client) => client.read('usr/share/doc/package7/copyright')],
  [3, (client) => client.tar('')],
  [3, (client) => client.tar('')],
];
const TIERS: ReadonlyMap<number, SessionTier> = new Map([
  [7, 'reads'],
  [8, 'import'],
]);

describe('sweeps', { skip: lacks('root', 'fanotify', 'mount') }, () => {
  const sandbox = new TraceSandbox();
  const root = sandbox.at('root');
  const paths = async (...args: readonly string[]): Promise<string[]> =>
    (await sandbox.ok(['export', ...args, '--format', 'list0', '-o', '-'])).text
      .split('\0')
      .slice(0, -1);
  const without = (list: readonly string[], others: readonly string[]): string[] => {
    const known = new Set(others);
    return list.filter((path) => !known.has(path));
  };
  let plain: string[];

  before(async () => {
    makeRoot(root);
    record(sandbox.database, root);
    await sandbox.daemon();
    plain = await paths('session-1');
  });
  after(() => sandbox.remove());

  test('find / and tar over NFSv3: the image is that of the session without', async () => {
    for (const session of ['session-2', 'session-3']) {
      const image = await paths(session);
      assert.deepEqual(without(plain, image), []);
      const more = without(image, plain);
      assert.ok(more.length < 20, `${more.length}: ${more.slice(0, 20).join()}`);
      const { sweeps, left_out: out } = await sandbox.json<Report>(
        ['export', session, '-o', sandbox.at('image')], //
      );
      const [sweep] = sweeps;
      assert.ok(sweep !== undefined);
      assert.deepEqual([sweep.session, sweep.path, sweep.doubt], [session, '.', null]);
      const told = out.filter(({ why }) => why === 'sweep');
      const sum = sweeps.reduce((all, one) => all + one.left_out, 0);
      assert.equal(told.length, sum);
      assert.deepEqual(
        without(
          told.map(({ path }) => path),
          image,
        ).length,
        told.length,
      );
      assert.ok(sum > (session === 'session-2' ? 300 : 1500), `${sum}`);
    }
  });

  test('--keep-sweeps has everything; what a person reads says how much is left out', async () => {
    const kept = await paths('session-3', '--keep-sweeps');
    assert.deepEqual(without(made.all('', 'file'), kept), []);
    const { text } = await sandbox.ok(['export', 'session-3', '-o', sandbox.at('image')]);
    assert.match(text, /^sweep of \/ in session-3: \d+ paths, [\d.]+ MB, left out$/m);
    const show = await sandbox.json<{ image: Report }>(['show', 'session-3']);
    assert.equal(show.image.sweeps[0]?.path, '.');
    assert.match(
      (await sandbox.ok(['show', 'session-3'])).text,
      /sweep +of \/: \d+ paths left out/,
    );
    assert.ok((await paths('session-3', '--include', '/usr/share/doc/')).length > plain.length);
  });

  test('a snapshot keeps what an image has without the sweep', async () => {
    await sandbox.ok(['snapshot', 'session-3']);
    const image = async (...more: readonly string[]): Promise<Buffer> =>
      (await sandbox.ok(['export', 'session-3', '-o', '-', ...more])).stdout;
    assert.ok((await image()).equals(await image('--as-recorded')));
    await sandbox.fails(
      ['export', 'session-3', '--as-recorded', '--keep-sweeps', '-o', sandbox.at('kept')],
      { code: 66, message: /not kept/, hint: /trace snapshot/ },
    );
  });

  test('over NFSv4 what was read stays, with a warning', async () => {
    const { stderr } = await sandbox.ok(['export', 'session-4', '-o', sandbox.at('image')]);
    assert.match(stderr, /sweep of \/ in session-4 read \d+ files that stay: .*NFSv4/);
    assert.deepEqual(without(made.all('', 'file'), await paths('session-4')), []);
  });

  test('a session with loss cannot tell', async () => {
    const args = ['export', 'session-5', '--accept-loss', '-o', sandbox.at('image')];
    const { sweeps, sweeps_not_looked_for: unsearched } = await sandbox.json<Report>(args);
    assert.deepEqual(sweeps, []);
    assert.deepEqual(unsearched, [{ session: 'session-5', tier: 'exact', why: 'loss' }]);
    assert.doesNotMatch((await sandbox.ok(args)).text, /not looked for/);
  });

  test('a session of a lower tier says that none were looked for', async () => {
    const args = ['export', '3+7', '-o', sandbox.at('image')];
    const { sweeps_not_looked_for: unsearched } = await sandbox.json<Report>(args);
    assert.deepEqual(unsearched, [{ session: 'session-7', tier: 'reads', why: 'tier' }]);
    assert.match((await sandbox.ok(args)).text, /^sweeps in session-7: not looked for, .*'reads'/m);
    const { image } = await sandbox.json<{ image: Report }>(['show', 'session-7']);
    assert.deepEqual(image.sweeps_not_looked_for, unsearched);
  });

  test('nor in a session that was given, where nobody expects any', async () => {
    const args = ['export', 'session-8', '-o', sandbox.at('image')];
    const { sweeps_not_looked_for: unsearched } = await sandbox.json<Report>(args);
    assert.deepEqual(unsearched, [{ session: 'session-8', tier: 'import', why: 'tier' }]);
    assert.doesNotMatch((await sandbox.ok(args)).text, /not looked for/);
  });

  test('in an expression it must be so in every session that has the file', async () => {
    const page = 'usr/share/doc/package7/copyright';
    assert.equal((await paths('session-3')).includes(page), false);
    assert.ok((await paths('3+6')).includes(page));
    assert.ok((await paths('3&6')).includes(page));
    const both = await paths('2+3');
    const more = without(both, plain);
    assert.ok(more.length < 40, `${more.length}: ${more.slice(0, 20).join()}`);
    // What both have is out in both; what the boot used is gone with the other session.
    assert.deepEqual(without(await paths('3-1'), [...both, 'init']), []);
  });

  test('the same bytes and the same report through the daemon', async () => {
    chownSync(sandbox.socket, 0, NOBODY);
    const folder = sandbox.at('theirs');
    mkdirSync(folder);
    chownSync(folder, NOBODY, NOBODY);
    const nobody: RunOptions = { prefix: sandbox.asNobody() };
    for (const more of [[], ['--keep-sweeps']]) {
      const args = ['export', '2+3', ...more, '-o'];
      const mine = await sandbox.json<Report>([...args, sandbox.at('mine')]);
      const theirs = await sandbox.json<Report>([...args, `${folder}/theirs`], nobody);
      assert.deepEqual({ ...theirs, output: mine.output }, mine);
      assert.ok(readFileSync(`${folder}/theirs`).equals(readFileSync(mine.output)));
      assert.equal(mine.sweeps.length > 0, true);
      assert.equal(
        mine.sweeps.some((one) => one.left_out > 0),
        more.length === 0,
      );
    }
  });
});

function makeRoot(root: string): void {
  for (const [path, { type, size }] of made.entries) {
    const place = join(root, path);
    if (type === 'directory') mkdirSync(place, { recursive: true });
    else if (type === 'symlink') symlinkSync(made.targetOf(path), place);
    else writeFileSync(place, Buffer.alloc(size));
  }
}

function record(database: string, root: string): void {
  const store = Store.open({ path: database });
  const rootId = store.ensureRoot(Buffer.from(root));
  const recordingId = store.startRecording({
    ...{ rootId, label: null, clients: [], tier: 'exact' },
    atUs: T0,
  });
  const ids = new Map([...made.entries.keys()].map((path, index) => [path, index + 1]));
  const sessions = SESSIONS.map((_, index) => ({ id: index + 1, at: T0 + index * 1000 * SECOND }));
  store.ingest({
    atUs: T0,
    opened: sessions.map(({ id, at }) => ({
      ...{ id, rootId, recordingId, client: `10.0.0.${id}`, partial: false },
      ...{ evidence: { kind: 'nfs3-mount' }, openedUs: at, lastUs: at },
      tier: TIERS.get(id) ?? 'exact',
    })),
    files: [...ids].map(([path, id]) => {
      const handle = Buffer.alloc(8);
      handle.writeUInt32LE(id);
      const stat = lstatSync(join(root, path), { bigint: true });
      return {
        ...{ id, rootId, handle: { type: 1, bytes: handle }, dev: Number(stat.dev) },
        ...{ inode: BigInt(id), uid: 0, gid: 0, nlink: 1 },
        mode: Number(stat.mode),
        size: Number(stat.size),
        mtimeNs: stat.mtimeNs,
        names: [Buffer.from(path)],
      };
    }),
    accesses: sessions.flatMap(({ id, at }, index) => accessesOf(id, at, index, ids)),
    losses: sessions
      .filter((_, index) => SESSIONS[index]?.[2] !== undefined)
      .map(({ id, at }) => ({
        ...{ recordingId, sessionId: id, where: 'trace-ring', count: 1 },
        ...{ fromUs: at, toUs: at + 1 },
      })),
  });
  store.ingest({
    atUs: T0 + 9000 * SECOND,
    closed: sessions.map(({ id }) => ({ id, reason: 'stop', atUs: T0 + 9000 * SECOND })),
  });
  store.stopRecording(recordingId, T0 + 9000 * SECOND);
  store.close();
}

function accessesOf(
  sessionId: number,
  at: number,
  index: number,
  ids: ReadonlyMap<string, number>,
): AccessUpdate[] {
  const [version, sweep] = SESSIONS[index] ?? [3, () => undefined];
  const client = new MadeUpClient(made, version, randomFrom(1));
  client.nowUs = at;
  const files = made.all('', 'file');
  const use = (from: number): void => {
    for (const path of files.filter((_, n) => n % 23 === from)) client.read(path);
  };
  use(3);
  client.nowUs += 3 * SECOND;
  sweep(client);
  client.nowUs += 3 * SECOND;
  use(4);
  return client.touches.map(({ names, operations, bytes, firstUs, lastUs, created }, order) => ({
    ...{ sessionId, fileId: ids.get(names[0] ?? '') ?? 0, count: 1, order, created },
    ...{ operations, bytes, firstUs, lastUs, evidence: 'nfsd' },
  }));
}
