import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findSweeps } from '../../../src/image/sweeps/find-sweeps.ts';
import type { Sweep } from '../../../src/image/sweeps/sweep.ts';
import { type Random, randomFrom } from '../../replay/variations.ts';
import { debianLike, MadeUpClient, type MadeUpRoot } from './made-up-client.ts';

const SECOND = 1_000_000;
const LIBRARIES = 'usr/lib/x86_64-linux-gnu';
const root = debianLike();

const sweepsOf = (client: MadeUpClient, of: MadeUpRoot = root): Sweep[] =>
  findSweeps(client.touches, of);
const names = (sweeps: readonly Sweep[], what: 'swept' | 'kept' = 'swept'): Set<string> =>
  new Set(sweeps.flatMap((sweep) => sweep[what].flatMap((touch) => touch.names)));
const tops = (sweeps: readonly Sweep[]): string[] => [...new Set(sweeps.map(({ top }) => top))];

/** What a boot does: lists some, reads some, once or again. Gives what it needs in an image. */
function boot(client: MadeUpClient, random: Random, steps = 150): Set<string> {
  const files = root.all('', 'file');
  const links = root.all('', 'symlink');
  const folders = root.all('etc', 'directory');
  const used = new Set<string>();
  const use = (path: string, seen: boolean | undefined): void => {
    if (seen !== false) used.add(path);
  };
  const pick = (list: readonly string[]): string => list[random(list.length)] ?? '';
  for (let step = 0; step < steps; step++) {
    client.nowUs += random(30_000);
    const one = pick(files);
    const folder = pick(folders);
    const link = pick(links);
    switch (random(8)) {
      case 0:
        use(folder, (client.list(folder), true));
        for (const path of root.inside(folder))
          if (root.typeOf(path) === 'file') use(path, client.read(path));
        break;
      case 1:
        use(link, client.readlink(link));
        break;
      case 2:
        use(one, client.look(one));
        break;
      default:
        use(one, client.read(one));
    }
  }
  return used;
}

const overlap = (a: ReadonlySet<string>, b: ReadonlySet<string>): string[] =>
  [...a].filter((one) => b.has(one));

/** At the ends of a sweep a few stay: whose they are cannot be told. */
const few = (missed: readonly string[]): void =>
  assert.ok(missed.length < 20, `${missed.length}: ${missed.slice(0, 20).join()}`);

/** What nobody but a sweep touched, and the sweep did. */
function onlySwept(client: MadeUpClient, used: ReadonlySet<string>): string[] {
  return client.touches.flatMap(({ names: all }) => all).filter((name) => !used.has(name));
}

for (const version of [3, 4] as const)
  describe(`NFSv${version}`, () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      it(`finds no sweep in a boot, however much it uses (seed ${seed})`, () => {
        const random = randomFrom(seed);
        const client = new MadeUpClient(root, version, random);
        boot(client, random, 100 * seed * seed);
        assert.deepEqual(sweepsOf(client), []);
      });

      it(`finds find / after a boot and before more use (seed ${seed})`, () => {
        const random = randomFrom(seed);
        const client = new MadeUpClient(root, version, random);
        const used = boot(client, random);
        client.nowUs += 3 * SECOND;
        client.find('');
        client.nowUs += random(70 * SECOND);
        for (const path of boot(client, random)) used.add(path);
        const sweeps = sweepsOf(client);
        assert.deepEqual(tops(sweeps), ['']);
        const swept = names(sweeps);
        assert.deepEqual(overlap(swept, used), []);
        const missed = onlySwept(client, used).filter((name) => !swept.has(name));
        few(missed);
      });

      it(`loses nothing to a tar of everything (seed ${seed})`, () => {
        const random = randomFrom(seed);
        const client = new MadeUpClient(root, version, random);
        const used = boot(client, random);
        client.nowUs += 3 * SECOND;
        client.tar('');
        client.nowUs += SECOND / 5;
        const atOnce = [...root.all('', 'file')].filter((_, n) => n % 50 === seed);
        // Of NFSv4 this does not show.
        for (const path of atOnce) {
          client.read(path);
          used.add(path);
        }
        client.nowUs += 70 * SECOND;
        for (const path of boot(client, random)) used.add(path);
        const sweeps = sweepsOf(client);
        const swept = names(sweeps);
        assert.deepEqual(overlap(swept, used), []);
        const missed = onlySwept(client, used).filter((name) => !swept.has(name));
        const files = new Set(missed.filter((name) => root.typeOf(name) === 'file'));
        if (version === 3) few([...files]);
        else {
          assert.deepEqual([...new Set(sweeps.map(({ doubt }) => doubt))], ['unseen', null]);
          const kept = names(sweeps, 'kept');
          assert.ok(files.size > 1000);
          few([...files].filter((name) => !kept.has(name)));
        }
      });
    }
  });
