/** What clients can make the session machine keep, and what becomes of the rest. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { foldOwnerName } from '../../src/attribution/client-identities.ts';
import { Machines } from '../../src/attribution/machines.ts';
import { notes, Player } from './session-player.ts';
import { nfs3Mount, nfs4Mount, SECOND } from './trace-sequences.ts';

const NAT = '192.0.2.1';

describe('bounds', () => {
  const address = (n: number) => `2001:db8::${n.toString(16)}`;

  test('sessions in a time: what comes too fast gets none, is counted, and is partial later', () => {
    const player = new Player({ bounds: { budget: { burst: 3, perSecond: 1 } } });
    const ids = [1, 2, 3, 4, 5].map((n) => player.read(address(n), SECOND));
    assert.deepEqual(ids, [41, 42, 43, 0, 0]);
    assert.equal(player.machine.drops.accesses, 2);
    assert.equal(player.read(address(1), SECOND + 1), 41, 'who has one goes on');
    player.play(nfs3Mount(address(6), 2 * SECOND + 500_000));
    assert.equal(player.read(address(6), 2 * SECOND + 600_000), 44);
    player.play(nfs3Mount(address(4), 3 * SECOND + 500_000));
    player.read(address(4), 3 * SECOND + 600_000);
    assert.deepEqual(player.story.slice(3), [
      `44 ${address(6)} nfs3-mount`,
      `45 ${address(4)} nfs3-mount partial`,
    ]);
  });

  test('open sessions: one more only when one has ended', () => {
    const player = new Player({ bounds: { open: 100 }, quietUs: 10 * SECOND });
    for (let n = 0; n < 1000; n += 1) player.read(address(n), SECOND);
    assert.equal(player.machine.open.length, 100);
    assert.equal(player.machine.drops.accesses, 900);
    player.keep(player.machine.tick(20 * SECOND));
    assert.equal(player.read(address(2000), 100 * SECOND), 141);
  });

  test('boots of one client: beyond them its session goes on and counts them', () => {
    const player = new Player({ bounds: { budget: { bootsOfClient: 3, bootsPerMinute: 1 } } });
    for (let n = 0; n < 10; n += 1) {
      player.play(nfs3Mount(NAT, (10 + 6 * n) * SECOND));
      player.read(NAT, (11 + 6 * n) * SECOND);
    }
    assert.equal(player.story.length, 4);
    assert.equal(player.machine.drops.boots, 6);
    assert.deepEqual(notes(player).at(-1), '44 boots-merged 6');
  });

  test('identities and owner names', () => {
    const player = new Player({ bounds: { identities: 50 } });
    for (let n = 0; n < 500; n += 1) {
      const owner = `${n} ${'x'.repeat(1010)}`;
      const verifier = (n + 1).toString(16).padStart(16, '0');
      player.play(nfs4Mount({ client: NAT, owner, verifier, clId: 10 * n + 1 }, n * 20_000));
    }
    const of = (kind: string) => player.effects.filter((effect) => effect.kind === kind);
    assert.equal(of('identity').length, 500);
    assert.equal(of('identity-forgotten').length, 450);
    assert.equal(player.machine.drops.identities, 450);
    for (const effect of of('identity'))
      if (effect.kind === 'identity') assert.ok(effect.identity.ownerName.length <= 128);
    // One of the forgotten is a client never seen; one that is remembered is not.
    const owner = `499 ${'x'.repeat(1010)}`;
    player.read(NAT, 20 * SECOND);
    const verifier = (501).toString(16).padStart(16, '0');
    player.play(nfs4Mount({ client: NAT, owner, verifier, clId: 9000 }, 60 * SECOND));
    player.read(NAT, 61 * SECOND);
    assert.match(player.story.join(), /nfs4-verifier/);
  });

  test('two long names that begin alike stay two', () => {
    const [a, b] = ['a', 'b'].map((end) => foldOwnerName(Buffer.from('x'.repeat(1000) + end)));
    assert.ok(a && b && !a.equals(b));
    assert.deepEqual(foldOwnerName(a), a);
  });

  test('evidence that waits: the oldest goes, and that session is partial', () => {
    const player = new Player({ bounds: { pending: 10 } });
    for (let n = 0; n < 30; n += 1) player.play(nfs3Mount(address(n), n * SECOND));
    assert.equal(player.machine.drops.evidence, 20);
    player.read(address(1), 100 * SECOND);
    player.read(address(29), 100 * SECOND);
    assert.deepEqual(player.story, [
      `41 ${address(1)} first-traffic partial`,
      `42 ${address(29)} nfs3-mount`,
    ]);
    const gone = player.effects.filter(
      (effect) => effect.kind === 'pending' && effect.boots.length === 0,
    );
    assert.ok(gone.length >= 20, 'the store forgets them too');
  });

  test('a thousand clones with one name cost one collision each, and little time', () => {
    const player = new Player();
    const began = process.hrtime.bigint();
    for (let n = 0; n < 1000; n += 1) {
      const verifier = (n + 1).toString(16).padStart(16, '0');
      const who = { client: address(n), owner: 'Linux NFSv4.2 localhost', verifier, clId: 10 * n };
      player.play(nfs4Mount(who, n * 20_000));
      player.read(address(n), n * 20_000 + 10_000);
    }
    const ms = Number(process.hrtime.bigint() - began) / 1e6;
    assert.equal(player.machine.open.length, 1000);
    assert.ok(player.kinds('collision').length <= 1000);
    assert.ok(ms < 5000, `${ms} ms`);
  });
});

test('what is kept of machines behind an address is short, however long their names are', () => {
  const machines = new Machines();
  const names = ['one', 'other'].map((name) => Buffer.alloc(1024, name));
  for (const [index, ownerName] of names.entries())
    machines.saw('10.0.0.7', { verifier: String(index), ownerName }, index);
  assert.equal(machines.share('10.0.0.7'), true);
  const kept = [...machines.behind('10.0.0.7', 2).values()].map(({ ownerName }) => ownerName);
  assert.deepEqual(
    kept.map((name) => name.length <= 128),
    [true, true],
  );
  assert.equal(kept[0]?.equals(kept[1] ?? Buffer.alloc(0)), false);
});
