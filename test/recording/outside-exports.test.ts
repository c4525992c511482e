/** Exports that are not recorded: one index for all who have the same, and a walk is no standstill. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { handleHash } from '../../src/attribution/handle.ts';
import { TraceError } from '../../src/common/errors.ts';
import type { IndexSummary } from '../../src/fanotify-ts/handle-index.ts';
import { nowUs } from '../../src/recording/clock.ts';
import { ExportTable } from '../../src/recording/export-table.ts';
import type { RootRecording } from '../../src/recording/root-recording.ts';
import type { OutsideIndex } from '../../src/recording/outside-exports.ts';
import { Volumes } from '../../src/recording/volumes.ts';
import type { RootIndex } from '../../src/recording/volume.ts';
import { withoutWalkSince } from '../../src/recording/walks.ts';

const CLIENTS = 300;
const NONE = Buffer.alloc(0);
const SUMMARY = { unreadable: 0, collisions: 0 } as IndexSummary;
/** As the kernel prints them (6.1). */
const handlesOf = (...lines: string[]): Buffer => Buffer.from(`${lines.join('\n')}\n`);

describe('exports outside', () => {
  let opened: { readonly path: string; readonly check: boolean; closed: boolean }[];
  let walk: () => Promise<IndexSummary>;
  let tables: { handles: Buffer; options: Buffer; etab: Buffer };
  let exports: ExportTable;
  beforeEach(() => {
    opened = [];
    walk = () => Promise.resolve(SUMMARY);
    tables = { handles: NONE, options: NONE, etab: NONE };
    exports = new ExportTable({
      roots: new Map(),
      reader: {
        tables: () => ({ ...tables }),
        domains: () => new Map(),
        rootHandle: () => ({ type: 1, bytes: Buffer.alloc(8) }),
        openIndex: ({ key, subtreeCheck }) => {
          const one = { path: String(key.path), check: subtreeCheck, closed: false };
          opened.push(one);
          const index: OutsideIndex = {
            walk: () => walk(),
            idsOfHash: (hash) => (hash === 7 && one.path === '/usr' ? [1] : []),
            prune: () => new Uint32Array(),
            close: () => {
              one.closed = true;
            },
          };
          return index;
        },
      },
    });
  });
  afterEach(() => exports.close());

  const clients = (line: (client: string) => string): string[] =>
    Array.from({ length: CLIENTS }, (_, n) => line(`10.0.${n >> 8}.${n & 255}`));

  test('many clients of one export need one index, and one more if handles differ', async () => {
    tables.handles = handlesOf(
      ...clients((client) => `${client} 1 0x00000007 /usr`),
      ...clients((client) => `${client} 1 0x00000008 /usr`),
    );
    tables.options = handlesOf(
      ...clients((client) => `/usr\t${client}(ro,no_subtree_check,fsid=7)`),
    );
    await exports.refresh();
    await exports.walkOutside();
    await exports.walkOutside();
    assert.deepEqual(
      opened.map(({ path, check }) => [path, check]),
      [
        ['/usr', false],
        ['/usr', false],
      ],
    );
    assert.ok(exports.isOutside(7));
    assert.equal(exports.isOutside(8), false);
    const root = handleHash({ fsidType: 1, fsid: Buffer.from([7, 0, 0, 0]), handle: null });
    assert.ok(exports.isOutside(root));
    assert.ok(exports.holds(root, Buffer.from('/usr/share')));
    tables.options = handlesOf('/usr\t10.0.0.0(ro,fsid=7)');
    await exports.refresh();
    await exports.walkOutside();
    assert.deepEqual(
      opened.map(({ check, closed }) => [check, closed]),
      [
        [false, false],
        [false, false],
        [true, false],
        [true, false],
      ],
    );
    tables.handles = handlesOf(...clients((client) => `${client} 1 0x00000007 /etc`));
    tables.options = NONE;
    await exports.refresh();
    assert.equal(opened.filter(({ closed }) => !closed).length, 2, 'fsid 8 is as it was');
  });

  test('while one is walked, nobody who waits for progress takes it for a standstill', async () => {
    tables.handles = handlesOf('* 1 0x00000007 /usr', '* 1 0x00000008 /etc');
    await exports.refresh();
    const began = nowUs();
    const seen: (number | null)[] = [];
    walk = () => {
      seen.push(withoutWalkSince(began));
      const gone = new TraceError({ code: 'walk-failed', message: 'gone', exit: 'io' });
      return seen.length === 1 ? Promise.reject(gone) : Promise.resolve(SUMMARY);
    };
    await exports.walkOutside();
    assert.deepEqual(seen, [null, null]);
    const sinceUs = withoutWalkSince(began);
    assert.ok(sinceUs !== null && sinceUs > began, 'what it took does not count afterwards either');
  });

  test('nor the look at access times', async () => {
    const seen: (number | null)[] = [];
    const index = {
      open: () => undefined,
      close: () => undefined,
      accessedBetween: () => {
        seen.push(withoutWalkSince(nowUs()));
        return Promise.resolve([]);
      },
    } as unknown as RootIndex;
    const volumes = new Volumes({ root: Buffer.from('/'), watcher: null, index });
    volumes.open();
    await volumes.accessedBetween({ sinceNs: 0n, untilNs: 1n });
    assert.deepEqual(seen, [null]);
    assert.ok(withoutWalkSince(nowUs()) !== null);
    volumes.close();
  });

  test('an export with an fsid is known although the kernel’s tables were emptied meanwhile', async () => {
    tables.etab = handlesOf('/usr\t*(ro,sync,no_subtree_check,fsid=13)');
    await exports.refresh();
    const root = handleHash({ fsidType: 1, fsid: Buffer.from([13, 0, 0, 0]), handle: null });
    assert.ok(exports.holds(root, Buffer.from('/usr/share')));
    await exports.walkOutside();
    tables.handles = handlesOf('*,10.0.0.7 1 0x0000000d /usr');
    tables.options = handlesOf('/usr\t*,10.0.0.7(ro,no_subtree_check,fsid=13)');
    await exports.refresh();
    await exports.walkOutside();
    assert.deepEqual(
      opened.map(({ path, check }) => [path, check]),
      [['/usr', false]],
    );
  });

  test('a new root follows also if the refresh that was made for it failed', async () => {
    const followed: string[] = [];
    const root = {
      covers: () => false,
      walkNew: () => Promise.resolve(),
      followMounts: () => followed.push('mounts') < 0,
      useExports: () => followed.push('exports'),
    } as unknown as RootRecording;
    const reader = { domains: () => new Map(), rootHandle: () => null, openIndex: () => null };
    let failing = false;
    const roots = new Map<number, RootRecording>();
    const table = new ExportTable({
      roots,
      reader: { ...reader, tables: () => (failing ? assert.fail('no tables') : tables) },
    });
    await table.refresh();
    roots.set(1, root);
    failing = true;
    await assert.rejects(table.refresh({ always: true }), /no tables/);
    failing = false;
    await table.refresh();
    await table.refresh();
    assert.deepEqual(followed, ['mounts', 'exports']);
  });

  test('the way to exports through the NFSv4 pseudo root is outside, before the kernel lists it', async () => {
    // What mountd makes of `/` and `/srv` for `/srv/root`: a client comes by PUTROOTFH and LOOKUP.
    const uuid = 'b287108e:8c8f44f8:8e9f6248:2c9a282e';
    tables.options = handlesOf(
      `/\t*(ro,no_root_squash,no_subtree_check,fsid=0,v4root,uuid=${uuid},sec=1)`,
      `/usr\t*(ro,no_root_squash,no_subtree_check,v4root,uuid=${uuid},sec=1)`,
      `/usr/share\t*(ro,no_root_squash,no_subtree_check,uuid=${uuid},sec=1)`,
    );
    await exports.refresh();
    const root = handleHash({ fsidType: 1, fsid: Buffer.alloc(4), handle: null });
    assert.ok(exports.isOutside(root));
    // The kernel's list comes with the next call: the same key, and nothing is counted twice.
    tables.handles = handlesOf('* 1 0x00000000 /');
    await exports.refresh();
    assert.ok(exports.isOutside(root));
    assert.ok(exports.holds(root, Buffer.from('/usr/share')));
    await exports.walkOutside();
    assert.deepEqual(
      opened.map(({ path }) => path),
      ['/usr/share'],
    );
  });
});
