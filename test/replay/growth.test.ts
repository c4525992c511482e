/**
 * What NFS clients send must not make the recorder grow: millions of made-up handles, addresses,
 * and files that come and go, through the real index, recorder and store. Each bound drops
 * something, and each drop is counted where a person sees it.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ReplaySensors } from '../../src/capture/replay-source.ts';
import { ReplayedIndex } from '../../src/capture/replayed-index.ts';
import type { RecordedTree } from '../../src/capture/recorded-batches.ts';
import type { FileBatch, FileEvent, FileHandle, NfsBatch } from '../../src/common/batches.ts';
import { FAN_CREATE, FAN_DELETE } from '../../src/fanotify-ts/masks.ts';
import { HandleIndex } from '../../src/fanotify-ts/handle-index.ts';
import { nowUs } from '../../src/recording/clock.ts';
import { Recorder } from '../../src/recording/recorder.ts';
import { Store } from '../../src/store/store.ts';

const MIB = 2 ** 20;

function handle(number: number): FileHandle {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(number);
  return { type: 1, bytes };
}

const ROOT = handle(0);
const NONE = Buffer.alloc(0);

function toldIndex(mostObjects?: number): HandleIndex {
  const index = new HandleIndex({
    root: Buffer.from('/told'),
    told: { rootHandle: ROOT },
    ...(mostObjects === undefined ? {} : { mostObjects }),
  });
  index.open();
  return index;
}

const name = (text: string): Buffer => Buffer.from(text);

describe('the index', () => {
  test('forgets files that clients made and deleted', () => {
    const index = toldIndex();
    index.addExportKey({ fsidType: 1, fsid: Buffer.alloc(4) });
    let most = 0;
    let pruned = 0;
    for (let i = 1; i <= 600_000; i++) {
      const event = { parent: ROOT, name: name(`temporary-file-${i}`), object: handle(i) };
      index.learn({ ...event, directory: false });
      index.forget(event);
      if (i % 10_000 !== 0) continue;
      pruned += index.prune().length;
      most = Math.max(most, index.growth().objects);
    }
    assert.ok(most < 250_000, `${most} objects`);
    assert.ok(pruned > 350_000, `${pruned} forgotten`);
    assert.ok(index.growth().bytes < 60 * MIB, `${index.growth().bytes} bytes`);
    // What is kept is whole, what is forgotten is unknown.
    assert.ok(index.idOfHandle(handle(600_000)) > 0);
    assert.equal(index.idOfHandle(handle(1)), -1);
    assert.deepEqual(
      index.idsOfHash(HandleIndex.hashOf({ fsidType: 1, fsid: Buffer.alloc(4) }, handle(1))),
      [],
    );
    index.close();
  });

  test('forgets whole trees, children first, and nothing that lives', () => {
    const index = toldIndex();
    index.learn({ parent: ROOT, name: name('kept'), object: handle(1), directory: true });
    let next = 2;
    for (let round = 0; round < 8; round++) {
      const top = handle(next++);
      index.learn({ parent: ROOT, name: name('tree'), object: top, directory: true });
      for (let d = 0; d < 30; d++) {
        const directory = handle(next++);
        index.learn({ parent: top, name: name(`d${d}`), object: directory, directory: true });
        for (let f = 0; f < 1000; f++)
          index.learn({ parent: directory, name: name(`f${f}`), object: handle(next++) });
      }
      index.learn({ parent: handle(1), name: name(`r${round}`), object: handle(next++) });
      index.forget({ parent: ROOT, name: name('tree') });
      index.prune();
    }
    const { objects } = index.growth();
    assert.ok(objects < 200_000, `${objects} objects`);
    for (let id = 0; id < 2; id++) assert.equal(index.isGone(id), false);
    for (let round = 0; round < 8; round++)
      assert.ok(index.childOf(index.idOfHandle(handle(1)), name(`r${round}`)) > 0);
    index.close();
  });

  test('refuses objects beyond its limit, and counts them', () => {
    const index = toldIndex(100);
    for (let i = 1; i <= 150; i++)
      index.learn({ parent: ROOT, name: name(`f${i}`), object: handle(i) });
    const { objects, refused } = index.growth();
    assert.deepEqual([objects, refused], [100, 51]);
    index.close();
  });

  test('gives no more than 1,024 names of a file, none over 32 KiB, and counts what it left out', () => {
    const index = toldIndex();
    for (let i = 0; i < 2000; i++)
      index.learn({ parent: ROOT, name: name(`link-${i}`), object: handle(1), directory: false });
    assert.equal(index.pathsOf(index.idOfHandle(handle(1))).length, 1024);
    assert.equal(index.growth().leftOut, 1);
    let parent = ROOT;
    for (let depth = 0; depth < 200; depth++) {
      const object = handle(1000 + depth);
      index.learn({ parent, name: name('n'.repeat(255)), object, directory: true });
      parent = object;
    }
    assert.deepEqual(index.pathsOf(index.idOfHandle(parent)), []);
    assert.equal(index.growth().leftOut, 2);
    index.close();
  });

  test('tells what changed, not what is there', () => {
    const index = toldIndex();
    for (let i = 1; i <= 1000; i++)
      index.learn({ parent: ROOT, name: name(`f${i}`), object: handle(i), directory: i === 1 });
    index.learn({ parent: handle(1), name: name('below'), object: handle(2000) });
    index.takeChanged();
    index.learn({ parent: ROOT, name: name('moved'), object: handle(1), directory: true });
    const changed = [...index.takeChanged()].map((id) => index.handleOf(id).bytes.readUInt32LE());
    assert.deepEqual(changed, [1, 2000], 'the directory and what is below it');
    assert.deepEqual([...index.takeChanged()], []);
    index.close();
  });
});

/** What one client, or many, can send in one flush's time. */
class Flood extends ReplaySensors {
  #next = 0;

  override drainTrace(): NfsBatch {
    const atUs = nowUs();
    const rows = Array.from({ length: 30_000 }, (_, index) => {
      const number = (this.#next += 1);
      return {
        epoch: 0,
        client: `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`,
        hash: number * 2 + 1,
        kind: index % 2 === 0 ? ('verify' as const) : ('verify-error' as const),
        type: 0,
        access: 0,
        count: 1,
        bytes: 0,
        minOffset: 0,
        firstUs: atUs,
        lastUs: atUs,
        order: number,
      };
    });
    return { rows, markers: [], losses: [], untilUs: atUs };
  }

  override drainFiles(): FileBatch {
    const events: FileEvent[] = [];
    for (let index = 0; index < 5000; index++) {
      const number = this.#next + index;
      const event = { pidClass: 'nfsd' as const, fsid: Buffer.alloc(8), parent: ROOT, count: 1 };
      const about = { object: handle(number), name: name(`made-up-${number}`) };
      events.push({ ...event, ...about, mask: FAN_CREATE });
      events.push({ ...event, ...about, mask: FAN_DELETE });
    }
    return { events, losses: [], untilUs: nowUs() };
  }
}

test('a flood of made-up handles, addresses and files: memory stays, the losses are told', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'flood-'));
  const tree: RecordedTree = {
    kind: 'tree',
    moment: 'begin',
    path: Buffer.from('/flooded'),
    objects: [{ handle: ROOT, directory: true, paths: [Buffer.alloc(0)], stat: null }],
  };
  const store = Store.open({ path: join(folder, 'trace.db') });
  const recorder = new Recorder({
    store,
    quietUs: 60_000_000,
    serverNames: [],
    serverPorts: [],
    onNotice: () => undefined,
    replay: {
      sensors: new Flood({ trace: [], files: [], tier: 'exact' }),
      root: () => new ReplayedIndex({ begin: tree, end: tree }),
      exports: {
        tables: () => ({ handles: NONE, options: NONE, etab: NONE }),
        domains: () => new Map(),
        rootHandle: () => null,
        openIndex: () => null,
      },
    },
  });
  try {
    await recorder.start();
    await recorder.startRoot({ path: tree.path, label: null, clients: [] });
    const resident: number[] = [];
    for (let flush = 0; flush < 40; flush++) {
      await recorder.flush();
      if (flush % 10 === 9) resident.push(process.memoryUsage().rss / MIB);
    }
    t.diagnostic(`resident, MiB: ${resident.map((mib) => mib.toFixed(0)).join(' ')}`);
    // The tables reach their bounds in the first half.
    const [before = 0, after = 0] = [resident[2], resident.at(-1)];
    assert.ok(after < before + 120, `${before.toFixed(0)} to ${after.toFixed(0)} MiB`);
    const { unresolved, recordings } = recorder.status();
    assert.ok(unresolved > 300_000, `${unresolved} calls unresolved`);
    assert.ok((recordings[0]?.objects ?? 0) < 250_000);
  } finally {
    await recorder.stop();
    store.close();
    rmSync(folder, { recursive: true });
  }
});
