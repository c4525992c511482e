/**
 * Several machines behind one address, one name on several, clocks that stand still, and restarts.
 * Marker sequences as a 6.1 server gave them.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ClientRenewal } from '../../src/attribution/boot-sessions.ts';
import { notes, Player, ROOT } from './session-player.ts';
import { marker, nfs3Mount, nfs4HardReboot, nfs4Mount, SECOND } from './trace-sequences.ts';

const NAT = '192.0.2.1';
const OTHER = '192.0.2.2';
const [V1, V2, V3, V4] = ['1', '2', '3', '4'].map((digit) => digit.padStart(16, '0')) as [
  string,
  string,
  string,
  string,
];
const XENO = { client: NAT, owner: 'Linux NFSv4.2 xeno', verifier: V1, clId: 10 };
const YOYO = { client: NAT, owner: 'Linux NFSv4.2 yoyo', verifier: V2, clId: 20 };

const renewal = (who: typeof XENO, atUs: number): ClientRenewal => ({
  clBoot: 1_700_000_000,
  clId: who.clId + 1,
  address: who.client,
  ownerName: Buffer.from(who.owner),
  atUs,
});

describe('two machines behind one address', () => {
  /** Both known, the second introduced while the first was reading. */
  function shared(): Player {
    const player = new Player();
    player.play(nfs4Mount(XENO, 10 * SECOND)).boot(NAT, 11 * SECOND);
    player.read(NAT, 20 * SECOND);
    player.play(nfs4Mount(YOYO, 20 * SECOND + 500_000));
    player.read(NAT, 21 * SECOND);
    return player;
  }

  test('the second appears while the first reads: one session, which says so', () => {
    const player = shared();
    assert.deepEqual(player.story, [`41 ${NAT} nfs4-new-client`]);
    assert.deepEqual(notes(player), ['41 shared-address 2']);
  });

  test('a boot of one of them is no boot of the address', () => {
    const player = shared();
    const again = { ...YOYO, verifier: V3, clId: 30, oldVerifier: V2, oldClId: 21 };
    player.play(nfs4HardReboot(again, 60 * SECOND)).boot(NAT, 61 * SECOND);
    player.play(nfs3Mount(NAT, 90 * SECOND)).boot(NAT, 91 * SECOND);
    assert.deepEqual(player.story, [`41 ${NAT} nfs4-new-client`]);
  });

  test('when only one is left, its boots count again', () => {
    const player = shared();
    const again = { ...YOYO, verifier: V3, clId: 30, oldVerifier: V2, oldClId: 21 };
    player.read(NAT, 590 * SECOND);
    player.play(nfs4HardReboot(again, 600 * SECOND)).boot(NAT, 601 * SECOND);
    assert.deepEqual(player.story, [
      `41 ${NAT} nfs4-new-client closed:boot`,
      `42 ${NAT} nfs4-verifier`,
    ]);
  });

  test('when the other has gone, the next boot counts, however lately the one was alive', () => {
    const player = shared();
    player.read(NAT, 390 * SECOND);
    player.keep(player.machine.renewed([renewal(YOYO, 395 * SECOND)], 396 * SECOND));
    const again = { ...YOYO, verifier: V3, clId: 30, oldVerifier: V2, oldClId: 21 };
    player.play(nfs4HardReboot(again, 400 * SECOND)).boot(NAT, 401 * SECOND);
    assert.match(player.story.join(), /42 192.0.2.1 nfs4-verifier/);
  });

  test('the second appears while the first is idle: its next renewal tells', () => {
    const player = new Player();
    player.play(nfs4Mount(XENO, 10 * SECOND)).boot(NAT, 11 * SECOND);
    assert.equal(player.machine.isCurious(12 * SECOND), false);
    player.play(nfs4Mount(YOYO, 20 * SECOND)).boot(NAT, 21 * SECOND);
    assert.equal(player.machine.isCurious(22 * SECOND), true);
    player.keep(player.machine.renewed([renewal(XENO, 18 * SECOND)], 25 * SECOND));
    assert.deepEqual(notes(player), [], 'from before the second appeared: proves nothing');
    player.keep(player.machine.renewed([renewal(XENO, 27 * SECOND)], 30 * SECOND));
    assert.deepEqual(notes(player), ['42 shared-address 2']);
    const again = { ...YOYO, verifier: V3, clId: 30, oldVerifier: V2, oldClId: 21 };
    player.play(nfs4HardReboot(again, 60 * SECOND)).boot(NAT, 61 * SECOND);
    assert.deepEqual(player.story, [
      `41 ${NAT} nfs4-new-client closed:boot`,
      `42 ${NAT} nfs4-new-client`,
    ]);
  });

  test('a machine that got another host name at its boot is one machine', () => {
    const player = new Player();
    player.play(nfs4Mount(XENO, 10 * SECOND)).boot(NAT, 11 * SECOND);
    player.play(nfs4Mount(YOYO, 60 * SECOND)).boot(NAT, 61 * SECOND);
    // The server keeps the state of the one that is gone; it renews no more.
    const both = [renewal(XENO, 30 * SECOND), renewal(YOYO, 68 * SECOND)];
    player.keep(player.machine.renewed(both, 70 * SECOND));
    const again = { ...YOYO, verifier: V3, clId: 30, oldVerifier: V2, oldClId: 21 };
    player.play(nfs4HardReboot(again, 120 * SECOND)).boot(NAT, 121 * SECOND);
    assert.equal(player.story.length, 3);
    assert.deepEqual(notes(player), []);
  });

  test('both with one host name: they take the state from each other, and the second time it is known', () => {
    const player = new Player();
    player.play(nfs4Mount(XENO, 10 * SECOND)).boot(NAT, 11 * SECOND);
    let clId = 11;
    const steal = (verifier: string, oldVerifier: string, atUs: number): void => {
      const who = { ...XENO, verifier, oldVerifier, oldClId: clId, clId: clId + 10 };
      player.play(nfs4HardReboot(who, atUs)).read(NAT, atUs + 100_000);
      clId += 10;
    };
    steal(V2, V1, 30 * SECOND);
    for (let turn = 0; turn < 20; turn += 1)
      steal(turn % 2 === 0 ? V1 : V2, turn % 2 === 0 ? V2 : V1, (40 + 7 * turn) * SECOND);
    assert.deepEqual(player.story, [
      `41 ${NAT} nfs4-new-client closed:boot`,
      `42 ${NAT} nfs4-verifier`,
    ]);
    assert.deepEqual(notes(player), ['42 shared-address 2']);
  });

  test('a restart of the daemon knows both, and needs signs of each in turns', () => {
    const identities = [XENO, YOYO].map(({ client, owner, verifier }) => ({
      address: client,
      ownerName: Buffer.from(owner),
      verifier,
    }));
    const player = new Player({ identities });
    player.read(NAT, 1 * SECOND);
    player.play(nfs4Mount(XENO, 2 * SECOND));
    player.keep(player.machine.renewed([renewal(YOYO, 5 * SECOND)], 6 * SECOND));
    assert.deepEqual(notes(player), [], 'the first may have been over by then');
    player.keep(player.machine.renewed([renewal(XENO, 15 * SECOND)], 16 * SECOND));
    assert.deepEqual(notes(player), ['41 shared-address 2']);
  });

  test('a restart of the daemon: what the server keeps of a boot that was over proves nothing', () => {
    const identities = [XENO, YOYO].map(({ client, owner, verifier }) => ({
      address: client,
      ownerName: Buffer.from(owner),
      verifier,
    }));
    const player = new Player({ identities });
    player.read(NAT, 101 * SECOND);
    // One machine that got another host name at its last boot, before the restart or while nobody saw.
    const both = [renewal(XENO, 99 * SECOND), renewal(YOYO, 102 * SECOND)];
    player.keep(player.machine.renewed(both, 104 * SECOND));
    player.keep(player.machine.renewed(both, 120 * SECOND));
    const again = { ...YOYO, verifier: V3, clId: 30, oldVerifier: V2, oldClId: 21 };
    player.play(nfs4HardReboot(again, 130 * SECOND)).boot(NAT, 131 * SECOND);
    assert.deepEqual(notes(player), []);
    assert.match(player.story.at(-1) ?? '', /nfs4-verifier/);
    // The other one shows life after all.
    player.keep(player.machine.renewed([renewal(XENO, 140 * SECOND)], 141 * SECOND));
    player.keep(
      player.machine.renewed([renewal({ ...YOYO, clId: 30 }, 150 * SECOND)], 152 * SECOND),
    );
    assert.equal(notes(player).length, 1);
  });

  test('a boot after one that nobody saw: what the server says of its name is not of an older boot', () => {
    const identities = [{ address: NAT, ownerName: Buffer.from(XENO.owner), verifier: V1 }];
    const player = new Player({ identities });
    player.read(NAT, 1 * SECOND);
    // No daemon saw V2 begin. When V3 takes its place the marker has the verifiers, and no name.
    const unseen = { ...XENO, verifier: V3, clId: 30, oldVerifier: V2, oldClId: 21 };
    player.play(nfs4HardReboot(unseen, 30 * SECOND)).boot(NAT, 31 * SECOND);
    for (const second of [40, 50, 60])
      player.keep(
        player.machine.renewed(
          [renewal({ ...XENO, clId: 40 }, second * SECOND)],
          (second + 1) * SECOND,
        ),
      );
    const again = { ...XENO, verifier: V4, clId: 50, oldVerifier: V3, oldClId: 31 };
    player.play(nfs4HardReboot(again, 70 * SECOND)).boot(NAT, 71 * SECOND);
    player.keep(player.machine.renewed([renewal({ ...XENO, clId: 60 }, 80 * SECOND)], 81 * SECOND));
    assert.deepEqual(notes(player), []);
    assert.deepEqual(
      player.story.map((line) => line.split(' ')[2]),
      ['first-traffic', 'nfs4-verifier', 'nfs4-verifier'],
    );
  });
});

test('clones: each session says whose name it shares', () => {
  const player = new Player();
  player.play(nfs4Mount(XENO, 10 * SECOND)).boot(NAT, 11 * SECOND);
  const clone = { ...XENO, client: OTHER, verifier: V2, clId: 30, oldVerifier: V1, oldClId: 11 };
  player.play(nfs4HardReboot(clone, 12 * SECOND)).boot(OTHER, 13 * SECOND);
  player.read(NAT, 14 * SECOND);
  assert.deepEqual(notes(player), ['41 identity-collision 1', '42 identity-collision 1']);
});

describe('the verifier of the boot before', () => {
  const again = (atUs: number) => nfs4Mount({ ...XENO, clId: 50 }, atUs);

  test('a boot is told by its first program', () => {
    const player = new Player();
    player.play(nfs4Mount(XENO, 10 * SECOND)).boot(NAT, 11 * SECOND);
    player.play(again(60 * SECOND));
    player.read(NAT, 60 * SECOND + 50_000);
    player.read(NAT, 61 * SECOND, { readsInit: true });
    assert.deepEqual(player.story, [
      `41 ${NAT} nfs4-new-client closed:boot`,
      `42 ${NAT} init-read partial`,
    ]);
    assert.equal(player.sessions.get(42)?.session.evidence.detail?.after, 41);
  });

  test('the server knows it still: confirmed_r', () => {
    const player = new Player();
    player.play(nfs4Mount(XENO, 10 * SECOND)).boot(NAT, 11 * SECOND);
    const name = Buffer.from(XENO.owner);
    player.play([
      marker({ kind: 'confirmed_r', client: NAT, name, verifier: V1, clId: 11, atUs: 60 * SECOND }),
    ]);
    player.read(NAT, 61 * SECOND, { readsInit: true });
    assert.deepEqual(player.story, [
      `41 ${NAT} nfs4-new-client closed:boot`,
      `42 ${NAT} init-read`,
    ]);
  });

  test('a remount that is followed by other reads is none', () => {
    const player = new Player();
    player.play(nfs4Mount(XENO, 10 * SECOND)).boot(NAT, 11 * SECOND);
    player.play(again(60 * SECOND));
    player.read(NAT, 61 * SECOND);
    assert.equal(player.read(NAT, 300 * SECOND, { readsInit: true }), 41);
  });

  test('a server that started anew makes everybody introduce himself', () => {
    const player = new Player();
    player.play(nfs4Mount(XENO, 10 * SECOND)).boot(NAT, 11 * SECOND);
    player.play(nfs4Mount({ ...XENO, clBoot: 1_700_000_099, clId: 3 }, 60 * SECOND));
    assert.equal(player.read(NAT, 61 * SECOND, { readsInit: true }), 41);
  });
});

test('NFSv3: a mount without a silence is one more mount of a client that is up', () => {
  const player = new Player();
  player.play(nfs3Mount(NAT, 10 * SECOND)).boot(NAT, 11 * SECOND);
  player.read(NAT, 40 * SECOND);
  player.play(nfs3Mount(NAT, 40 * SECOND + 200_000));
  assert.equal(player.read(NAT, 41 * SECOND), 41);
});

describe('evidence over a restart of the daemon', () => {
  test('is kept, and the session says that it may lack something', () => {
    const before = new Player();
    before.machine.openRoot(ROOT, 0);
    before.play(nfs4Mount(XENO, 10 * SECOND)).boot(NAT, 11 * SECOND);
    before.play(
      nfs4HardReboot(
        { ...XENO, verifier: V4, clId: 40, oldVerifier: V1, oldClId: 11 },
        60 * SECOND,
      ),
    );
    const pending = before.effects.findLast((effect) => effect.kind === 'pending');
    assert.ok(pending?.kind === 'pending');
    assert.equal(pending.boots.length, 1);
    const after = new Player({ nextSessionId: 42, pending: pending.boots });
    after.machine.openRoot(ROOT, 0);
    after.read(NAT, 61 * SECOND);
    assert.deepEqual(after.story, [`42 ${NAT} nfs4-verifier partial`]);
    const last = after.effects.findLast((effect) => effect.kind === 'pending');
    assert.deepEqual(last, { kind: 'pending', client: NAT, boots: [] }, 'used up');
  });

  test('from before the recording it still says nothing', () => {
    const pending = [
      {
        client: NAT,
        rootId: null,
        evidence: { kind: 'nfs4-new-client' as const },
        partial: false,
        atUs: 5 * SECOND,
        spent: [],
      },
    ];
    const player = new Player({ pending });
    player.machine.openRoot(ROOT, 10 * SECOND);
    player.read(NAT, 11 * SECOND);
    assert.deepEqual(player.story, [`41 ${NAT} first-traffic partial`]);
  });
});
