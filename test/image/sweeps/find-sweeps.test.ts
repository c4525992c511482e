/** What is told to be a sweep, and what is not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { operationBit } from '../../../src/common/words.ts';
import { findSweeps } from '../../../src/image/sweeps/find-sweeps.ts';
import type { Walked } from '../../../src/image/sweeps/below.ts';
import type { Sweep } from '../../../src/image/sweeps/sweep.ts';
import type { TreeStat } from '../../../src/image/tree.ts';
import { type Random, randomFrom } from '../../replay/variations.ts';
import { debianLike, MadeUpClient, MadeUpRoot } from './made-up-client.ts';

const SECOND = 1_000_000;
const LIBRARIES = 'usr/lib/x86_64-linux-gnu';
const root = debianLike();

const sweepsOf = (client: MadeUpClient, of = root): Sweep[] => findSweeps(client.touches, of);
const names = (sweeps: readonly Sweep[], what: 'swept' | 'kept' = 'swept'): Set<string> =>
  new Set(sweeps.flatMap((sweep) => sweep[what].flatMap((touch) => touch.names)));
const clientOf = (version: 3 | 4, random: Random = randomFrom(7)): MadeUpClient =>
  new MadeUpClient(root, version, random);
const both = (a: Iterable<string>, b: ReadonlySet<string>): string[] =>
  [...a].filter((one) => b.has(one));

/** At the ends of a sweep a few stay: whose they are cannot be told. */
const few = (missed: readonly string[]): void =>
  assert.ok(missed.length < 20, `${missed.length}: ${missed.slice(0, 20).join()}`);

/** A boot, or what goes on after it: lists some, reads some, once or again. Gives what it used. */
function boot(client: MadeUpClient, random: Random, steps = 150): Set<string> {
  const pick = (list: readonly string[]): string => list[random(list.length)] ?? '';
  const [files, links] = [root.all('', 'file'), root.all('', 'symlink')];
  const folders = root.all('etc', 'directory');
  const used = new Set<string>();
  const read = (path: string): void => {
    if (client.read(path)) used.add(path);
  };
  for (let step = 0; step < steps; step++) {
    client.nowUs += random(30_000);
    const [file, folder, link] = [pick(files), pick(folders), pick(links)];
    switch (random(8)) {
      case 0:
        client.list(folder);
        used.add(folder);
        for (const path of root.inside(folder)) if (root.typeOf(path) === 'file') read(path);
        break;
      case 1:
        if (client.readlink(link)) used.add(link);
        break;
      case 2:
        if (client.look(file)) used.add(file);
        break;
      default:
        read(file);
    }
  }
  return used;
}

/** What nothing but sweeps touched. */
function left(client: MadeUpClient, used: ReadonlySet<string>, swept: ReadonlySet<string>) {
  const all = client.touches.flatMap((touch) => touch.names);
  return all.filter((name) => !used.has(name) && !swept.has(name));
}

for (const version of [3, 4] as const)
  for (const seed of [1, 2, 3, 4, 5, 6])
    describe(`over NFSv${version}, seed ${seed}`, () => {
      it('a boot is no sweep, however much it uses', () => {
        for (const steps of [100, 400, 1000]) {
          const random = randomFrom(seed);
          const client = clientOf(version, random);
          boot(client, random, steps);
          assert.deepEqual([...names(sweepsOf(client))], []);
        }
      });

      it('find / takes nothing from what goes on before it and after', () => {
        const random = randomFrom(seed);
        const client = clientOf(version, random);
        const used = boot(client, random);
        client.nowUs += 3 * SECOND;
        client.find('');
        client.nowUs += random(70 * SECOND);
        for (const path of boot(client, random)) used.add(path);
        const sweeps = sweepsOf(client);
        const swept = names(sweeps);
        assert.equal(sweeps[0]?.top, '');
        assert.deepEqual(both(swept, used), []);
        few(left(client, used, swept));
      });

      it('nor does a tar of everything, but NFSv4 hides what goes on after it', () => {
        const random = randomFrom(seed);
        const client = clientOf(version, random);
        const used = boot(client, random);
        client.nowUs += 3 * SECOND;
        client.tar('');
        client.nowUs += SECOND / 5;
        for (const path of root.all('', 'file').filter((_, n) => n % 50 === seed)) {
          client.read(path);
          used.add(path);
        }
        client.nowUs += 70 * SECOND;
        for (const path of boot(client, random)) used.add(path);
        const sweeps = sweepsOf(client);
        const swept = names(sweeps);
        assert.deepEqual(both(swept, used), []);
        const rest = left(client, used, swept).filter((name) => root.typeOf(name) === 'file');
        if (version === 4) {
          assert.ok(rest.length > 1000);
          assert.ok(sweeps.some(({ doubt }) => doubt === 'unseen'));
        }
        few(rest.filter((name) => version === 3 || !names(sweeps, 'kept').has(name)));
      });

      it('nor when a program begins meanwhile: then what is read stays', () => {
        const random = randomFrom(seed);
        const client = clientOf(version, random);
        const program = root.all('', 'file').filter((_, n) => n % 30 === seed);
        let count = 0;
        client.tar('', () => {
          if (++count < 400 || count % 4 !== 0) return;
          const path = program.pop();
          if (path !== undefined) client.read(path);
        });
        assert.deepEqual(program, []);
        const sweeps = sweepsOf(client);
        const files = [...names(sweeps)].filter((name) => root.typeOf(name) === 'file');
        assert.deepEqual(files, []);
        const doubts = new Set(sweeps.map(({ doubt }) => doubt));
        assert.ok(doubts.has(version === 3 ? 'busy' : 'unseen'));
      });
    });

describe('what is a sweep', () => {
  it('ls -lR: what it looks at, links too', () => {
    for (const version of [3, 4] as const) {
      const client = clientOf(version);
      client.read('etc/passwd');
      client.nowUs += SECOND;
      client.listLong('');
      const swept = names(sweepsOf(client));
      assert.ok(swept.has('usr/bin/vi') && swept.has('usr/bin/tool3'));
      assert.equal(swept.has('etc/passwd'), false);
      few(left(client, new Set(['etc/passwd']), swept));
    }
  });

  it('mandb: all of the manual', () => {
    const client = clientOf(3);
    client.read('usr/share/man/man1/page3.gz');
    client.nowUs += SECOND;
    client.tar('usr/share/man');
    const sweeps = sweepsOf(client);
    assert.deepEqual(
      sweeps.map(({ top, kept }) => [top, kept.length]),
      [['usr/share/man', 0]],
    );
    few(left(client, new Set(['usr/share/man/man1/page3.gz']), names(sweeps)));
    assert.equal(names(sweeps).has('usr/share/man/man1/page3.gz'), false);
  });

  it('ldconfig: libraries and links that no program uses', () => {
    const used = [1, 2, 3, 50].map((n) => `${LIBRARIES}/libx${n}.so.1.0`);
    for (const version of [3, 4] as const) {
      const client = clientOf(version);
      for (const path of used.slice(0, 3)) client.read(path);
      client.nowUs += 2 * SECOND;
      client.ldconfig(LIBRARIES);
      client.nowUs += 2 * SECOND;
      for (const path of used.slice(2)) client.read(path);
      const sweeps = sweepsOf(client);
      assert.deepEqual(
        sweeps.map(({ top, doubt }) => [top, doubt]),
        [[LIBRARIES, version === 3 ? null : 'unseen']],
      );
      const swept = names(sweeps);
      assert.deepEqual(both(used, swept), []);
      assert.ok(version === 3 ? swept.size > 170 : swept.size === 0, `${swept.size}`);
    }
  });
});

describe('what is none', () => {
  const none = (client: MadeUpClient, of = root): void =>
    assert.deepEqual(
      sweepsOf(client, of).map(({ top }) => top),
      [],
    );

  for (const version of [3, 4] as const)
    it(`a program that goes through all of its own, over NFSv${version}`, () => {
      const client = clientOf(version);
      client.find('var/spool/squid');
      client.tar('srv/app');
      client.tar('usr/share/zoneinfo');
      client.tar('usr/lib/udev');
      client.tar('usr/lib/systemd');
      none(client);
    });

  it('programs that load nearly all libraries, but not in one go when they are listed', () => {
    const client = clientOf(3);
    const libraries = root.all(LIBRARIES, 'file');
    for (const path of libraries.slice(0, 20)) client.read(path);
    client.nowUs += 10 * SECOND;
    client.list(LIBRARIES);
    for (const path of libraries.slice(20)) client.read(path);
    none(client);
    const slow = clientOf(3);
    slow.list(LIBRARIES);
    for (const path of libraries) {
      slow.read(path);
      slow.nowUs += SECOND / 5;
    }
    none(slow);
    const other = clientOf(3);
    for (const path of libraries) other.read(path);
    none(other);
    other.nowUs += SECOND;
    other.list(LIBRARIES);
    none(other);
  });

  it('a sweep that passed over a part: the parts that it took are', () => {
    const client = clientOf(3);
    client.find('etc');
    client.find('usr/bin');
    client.find('usr/share');
    assert.deepEqual(
      sweepsOf(client).map(({ top }) => top),
      ['usr/share'],
    );
  });

  it('one of a directory that the root has no longer, or not as a directory of its own', () => {
    const client = clientOf(3);
    client.tar('usr/share/man');
    client.nowUs += 10 * SECOND;
    client.ldconfig(LIBRARIES);
    const tops = sweepsOf(client).map(({ top }) => top);
    assert.deepEqual(tops, ['usr/share/man', LIBRARIES]);
    const change = (changed: (stat: TreeStat) => TreeStat | null): Walked => {
      const lstat = (path: Buffer): TreeStat | null => {
        const stat = root.lstat(path);
        return stat !== null && tops.includes(path.toString()) ? changed(stat) : stat;
      };
      const list = (path: Buffer): Buffer[] => {
        const stat = lstat(path);
        assert.ok(stat?.type === 'directory' && !stat.foreign, 'not-in-root');
        return root.list(path);
      };
      return { lstat, list };
    };
    const link = (stat: TreeStat): TreeStat => ({ ...stat, type: 'symlink' });
    const mounted = (stat: TreeStat): TreeStat => ({ ...stat, foreign: true });
    for (const changed of [() => null, link, mounted])
      assert.deepEqual(findSweeps(client.touches, change(changed)), []);
  });

  it('a small root that is listed whole', () => {
    const small = new MadeUpRoot({ init: 10, bin: { sh: 100 }, etc: { passwd: 10 }, home: {} });
    const client = new MadeUpClient(small, 3, randomFrom(1));
    client.tar('');
    none(client, small);
  });

  it('what was touched by two sweeps', () => {
    const client = clientOf(3);
    client.find('');
    client.nowUs += 5 * SECOND;
    client.find('');
    assert.deepEqual([...names(sweepsOf(client))], []);
  });
});

describe('what is not taken', () => {
  it('what a program listed itself, where the sweep passes over it', () => {
    const client = clientOf(3);
    const program = root.all('var/spool/squid', 'directory');
    for (const path of program) client.list(path);
    client.nowUs += 20 * SECOND;
    for (const path of root.all('', 'directory')) if (!program.includes(path)) client.list(path);
    assert.deepEqual(both(names(sweepsOf(client)), new Set(program)), []);
    // Nor what it read itself there, right after.
    const third = clientOf(3);
    third.through('usr', (path) => {
      if (!path.startsWith('usr/lib/systemd/unit3.d/')) third.read(path);
    });
    const units = root.inside('usr/lib/systemd/unit3.d');
    for (const path of units) third.read(path);
    const touches = third.touches.map((one) =>
      one.names[0] === 'usr/lib/systemd/unit3.d'
        ? { ...one, operations: operationBit('lookup') }
        : one,
    );
    const swept = names(findSweeps(touches, root));
    assert.ok(swept.size > 1300);
    assert.deepEqual(both(units, swept), []);
    // A few, and the others are a sweep's all the same.
    const other = clientOf(3);
    other.list('tmp');
    other.nowUs += 20 * SECOND;
    for (const path of root.all('', 'directory')) if (path !== 'tmp') other.list(path);
    assert.equal(names(sweepsOf(other)).has('tmp'), false);
    assert.ok(names(sweepsOf(other)).size > 400);
  });

  it('a file that something else reads, or a directory that it lists, in the same second', () => {
    for (const what of ['read', 'list'] as const) {
      const client = clientOf(3);
      const page = 'usr/share/man/man2/page9.gz';
      const other = what === 'read' ? page : 'var/spool/squid/03/4';
      let seenUs = Infinity;
      client.tar('', () => {
        if (client.touches.at(-1)?.names[0] === page) seenUs = client.nowUs;
        if (client.nowUs - seenUs < SECOND / 3) return;
        seenUs = Infinity;
        client[what](other);
      });
      const sweeps = sweepsOf(client);
      const touch = client.touches.find(({ names: [name] }) => name === other);
      assert.ok(touch !== undefined && touch.lastUs > touch.firstUs);
      assert.equal(sweeps[0]?.doubt, what === 'read' ? 'busy' : null);
      assert.equal(names(sweeps).has(other), false);
      assert.ok(what === 'read' || names(sweeps).size > 2000);
    }
  });

  it('what something else looks at while ls -lR goes by, or a library that it loads', () => {
    const client = clientOf(3);
    const other = 'usr/share/zoneinfo/Area1/Town1';
    let count = 0;
    client.through('', (path) => {
      client.attributes(path);
      if (++count === 200 || count === 1500) client.attributes(other);
    });
    assert.equal(names(sweepsOf(client)).has(other), false);
    assert.ok(names(sweepsOf(client)).has('usr/share/zoneinfo/Area1/Town2'));
    const loader = clientOf(3);
    const library = `${LIBRARIES}/libx7.so.1.0`;
    loader.ldconfig(LIBRARIES, (opened) => {
      if (opened === 40 || opened === 80) loader.read(library);
    });
    assert.equal(names(sweepsOf(loader)).has(library), false);
    assert.ok(names(sweepsOf(loader)).has(`${LIBRARIES}/libx8.so.1.0`));
  });

  it('a file that is read again past the cache', () => {
    const client = clientOf(3);
    client.tar('usr/share/man');
    const page = 'usr/share/man/man2/page9.gz';
    const touches = client.touches.map((one) =>
      one.names[0] === page ? { ...one, bytes: one.bytes * 2 } : one,
    );
    const swept = names(findSweeps(touches, root));
    assert.ok(swept.size > 300);
    assert.equal(swept.has(page), false);
  });

  it('files in a directory that the client changes', () => {
    const client = clientOf(3);
    client.tar('');
    client.nowUs += SECOND;
    client.make('etc');
    const swept = names(sweepsOf(client));
    assert.equal(swept.has('etc/passwd'), false);
    assert.ok(swept.has('etc/app1.d/1.conf'));
  });

  it('what the session made, and what has a name elsewhere', () => {
    const client = clientOf(3);
    client.tar('usr/share');
    const page = 'usr/share/man/man1/page1.gz';
    const touches = client.touches.map((one) => {
      if (one.names[0] === page) return { ...one, names: [page, 'srv/page.gz'] };
      return one.names[0] === 'usr/share/doc/package1/copyright' ? { ...one, created: true } : one;
    });
    const swept = names(findSweeps(touches, root));
    assert.ok(swept.size > 800);
    assert.equal(swept.has(page), false);
    assert.equal(swept.has('usr/share/doc/package1/copyright'), false);
  });

  it('what a program looks at while find / goes by', () => {
    const client = clientOf(4);
    const program = root.all('', 'file').filter((_, n) => n % 40 === 1);
    const before = new Set<string>();
    client.through('', () => {
      const path = program.pop();
      if (path !== undefined && client.look(path)) before.add(path);
    });
    assert.ok(before.size > 10);
    const swept = names(sweepsOf(client));
    assert.ok(swept.size > 350);
    assert.deepEqual(both(before, swept), []);
  });
});
