/** The boot-session machine with NFSv4: verifiers, client ids, introductions, clones. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Player } from './session-player.ts';
import {
  marker,
  nfs3Mount,
  nfs4HardReboot,
  nfs4Mount,
  nfs4Unmount,
  SECOND,
} from './trace-sequences.ts';

const A = '10.0.0.7';
const B = '10.0.0.8';
const V1 = '0000000000000001';
const V2 = '0000000000000002';
const V3 = '0000000000000003';
const OWNER = 'Linux NFSv4.2 victim';

describe('NFSv4', () => {
  const mount = (clId: number, verifier: string, client = A, owner = OWNER) => ({
    client,
    owner,
    verifier,
    clId,
  });

  test('the first mount is a boot; its identity is told once', () => {
    const player = new Player();
    player.play(nfs4Mount(mount(1, V1), 10 * SECOND)).boot(A, 11 * SECOND);
    assert.deepEqual(player.story, ['41 10.0.0.7 nfs4-new-client']);
    assert.deepEqual(player.sessions.get(41)?.session.evidence.detail, { verifier: V1 });
    assert.deepEqual(player.kinds('identity'), [
      {
        kind: 'identity',
        identity: { address: A, ownerName: Buffer.from(OWNER), verifier: V1 },
      },
    ]);
  });

  test('hard power-off: the verifier changes', () => {
    const player = new Player();
    player.play(nfs4Mount(mount(1, V1), 10 * SECOND)).boot(A, 11 * SECOND);
    const again = { ...mount(9, V2), oldVerifier: V1, oldClId: 2 };
    player.play(nfs4HardReboot(again, 60 * SECOND));
    assert.deepEqual(player.boot(A, 61 * SECOND), [42]);
    const third = { ...mount(12, V3), oldVerifier: V2, oldClId: 9 };
    player.play(nfs4HardReboot(third, 160 * SECOND));
    assert.deepEqual(player.boot(A, 161 * SECOND), [43]);
    assert.deepEqual(player.story, [
      '41 10.0.0.7 nfs4-new-client closed:boot',
      '42 10.0.0.7 nfs4-verifier closed:boot',
      '43 10.0.0.7 nfs4-verifier',
    ]);
    assert.deepEqual(player.sessions.get(43)?.session.evidence.detail, {
      verifier: V3,
      previousVerifier: V2,
    });
    assert.deepEqual(player.kinds('collision'), []);
  });

  test('a reboot closes every session of the client, on each root', () => {
    const player = new Player();
    player.play(nfs4Mount(mount(1, V1), 10 * SECOND));
    player.boot(A, 11 * SECOND);
    player.boot(A, 11 * SECOND, 2);
    player.boot(B, 11 * SECOND);
    const again = { ...mount(9, V2), oldVerifier: V1, oldClId: 2 };
    player.play(nfs4HardReboot(again, 60 * SECOND));
    player.boot(A, 61 * SECOND, 2);
    player.boot(A, 62 * SECOND);
    player.read(B, 62 * SECOND);
    assert.deepEqual(player.story, [
      '41 10.0.0.7 nfs4-new-client closed:boot',
      '42 10.0.0.7 nfs4-new-client root:2 closed:boot',
      '43 10.0.0.8 init-read',
      '44 10.0.0.7 nfs4-verifier root:2',
      '45 10.0.0.7 nfs4-verifier',
    ]);
  });

  test('a reboot of a client that was up before recording began', () => {
    const player = new Player();
    player.read(A, 1 * SECOND);
    const again = { ...mount(9, V2), oldVerifier: V1, oldClId: 2 };
    player.play(nfs4HardReboot(again, 60 * SECOND)).boot(A, 61 * SECOND);
    assert.deepEqual(player.story, [
      '41 10.0.0.7 first-traffic partial closed:boot',
      '42 10.0.0.7 nfs4-verifier',
    ]);
  });

  test('a clean shutdown and boot', () => {
    const player = new Player();
    player.play(nfs4Mount(mount(1, V1), 10 * SECOND)).boot(A, 11 * SECOND);
    player.play(nfs4Unmount(2, 30 * SECOND)).play(nfs4Mount(mount(5, V2), 60 * SECOND));
    player.boot(A, 61 * SECOND);
    assert.deepEqual(player.story, [
      '41 10.0.0.7 nfs4-new-client closed:boot',
      '42 10.0.0.7 nfs4-verifier',
    ]);
  });

  test('a remount with the same verifier is the same session', () => {
    const player = new Player();
    player.play(nfs4Mount(mount(1, V1), 10 * SECOND)).boot(A, 11 * SECOND);
    player.play(nfs4Unmount(2, 30 * SECOND)).play(nfs4Mount(mount(5, V1), 60 * SECOND));
    assert.equal(player.read(A, 61 * SECOND), 41);
  });

  const again = (verifier: string, atUs: number) =>
    marker({
      kind: 'confirmed_r',
      client: A,
      name: Buffer.from(OWNER),
      verifier,
      clBoot: 1_700_000_000,
      clId: 2,
      atUs,
    });

  test('a client that the server still knows is the same session, and known from then on', () => {
    const player = new Player();
    player.read(A, 10 * SECOND);
    player.play([again(V1, 50 * SECOND)]);
    assert.equal(player.read(A, 51 * SECOND), 41);
    player.play(nfs4HardReboot({ ...mount(9, V2), oldVerifier: V1, oldClId: 2 }, 90 * SECOND));
    assert.equal(player.read(A, 91 * SECOND), 42);
    assert.equal(player.sessions.get(42)?.session.evidence.kind, 'nfs4-verifier');
  });

  test('a reboot that nobody saw is a new session, and partial', () => {
    const player = new Player({
      identities: [{ address: A, ownerName: Buffer.from(OWNER), verifier: V1 }],
    });
    player.read(A, 10 * SECOND);
    player.play([again(V2, 50 * SECOND)]);
    player.read(A, 51 * SECOND);
    assert.deepEqual(player.story, [
      '41 10.0.0.7 first-traffic partial closed:boot',
      '42 10.0.0.7 nfs4-verifier partial',
    ]);
  });

  test('another owner name with the same verifier is the same boot', () => {
    const player = new Player();
    player.play(nfs4Mount(mount(1, V1), 10 * SECOND)).boot(A, 11 * SECOND);
    const v40 = mount(5, V1, A, 'Linux NFSv4.0 10.0.0.7/10.0.0.1');
    player.play(nfs4Mount(v40, 60 * SECOND));
    assert.equal(player.read(A, 61 * SECOND), 41);
    player.play(nfs4Mount({ ...v40, verifier: V2, clId: 8 }, 90 * SECOND));
    player.play(nfs4Mount(mount(11, V2), 91 * SECOND));
    assert.equal(player.read(A, 92 * SECOND), 42);
  });

  test('clones share a host name: flagged once, and nobody loses a session', () => {
    const player = new Player();
    player.play(nfs4Mount(mount(1, V1), 10 * SECOND)).boot(A, 11 * SECOND);
    const clone = { ...mount(9, V2, B), oldVerifier: V1, oldClId: 2 };
    player.play(nfs4HardReboot(clone, 12 * SECOND));
    player.boot(B, 13 * SECOND);
    assert.equal(player.read(A, 15 * SECOND), 41);
    // The first finds its state gone and takes the name back.
    const back = { ...mount(13, V1), oldVerifier: V2, oldClId: 9 };
    player.play(nfs4HardReboot(back, 16 * SECOND));
    assert.equal(player.read(A, 17 * SECOND), 41);
    assert.equal(player.read(B, 17 * SECOND), 42);
    assert.deepEqual(player.story, ['41 10.0.0.7 nfs4-new-client', '42 10.0.0.8 nfs4-new-client']);
    assert.deepEqual(player.kinds('collision'), [
      { kind: 'collision', address: B, otherAddress: A, ownerName: Buffer.from(OWNER) },
    ]);
  });

  test('a clone reboots while the other holds the name', () => {
    const player = new Player();
    player.play(nfs4Mount(mount(1, V1), 10 * SECOND)).boot(A, 11 * SECOND);
    const clone = { ...mount(9, V2, B), oldVerifier: V1, oldClId: 2 };
    player.play(nfs4HardReboot(clone, 12 * SECOND)).boot(B, 13 * SECOND);
    const reboot = { ...mount(13, V3), oldVerifier: V2, oldClId: 9 };
    player.play(nfs4HardReboot(reboot, 60 * SECOND));
    player.boot(A, 61 * SECOND);
    assert.deepEqual(player.story, [
      '41 10.0.0.7 nfs4-new-client closed:boot',
      '42 10.0.0.8 nfs4-new-client',
      '43 10.0.0.7 nfs4-verifier',
    ]);
  });

  test('a server that starts anew makes its clients introduce themselves again', () => {
    const player = new Player();
    player.read(A, 9 * SECOND);
    player.play(nfs4Mount(mount(1, V1, B, 'other'), 10 * SECOND));
    const back = { ...mount(1, V2), clBoot: 1_700_009_999 };
    player.play(nfs4Mount(back, 60 * SECOND));
    assert.equal(player.read(A, 61 * SECOND), 41);
  });
});

describe('an introduction without a mount', () => {
  const mounted = { client: A, owner: OWNER, verifier: V1, clId: 3 };
  const isPartial = (player: Player, id: number) => player.sessions.get(id)?.session.partial;

  test('is that of a client whose lease has lapsed: its session is partial', () => {
    const player = new Player();
    player.play(nfs4Mount(mounted, 10 * SECOND));
    const id = player.read(A, 11 * SECOND, { checked: true });
    assert.equal(isPartial(player, id), true);
  });

  test('a mount looks for its export first', () => {
    const player = new Player();
    player.play(nfs4Mount(mounted, 10 * SECOND));
    player.machine.walked(B);
    player.machine.walked(A);
    const id = player.read(A, 11 * SECOND, { checked: true });
    assert.equal(isPartial(player, id), false);
  });

  test('a mount before it proves nothing', () => {
    const player = new Player();
    player.machine.walked(A);
    player.play(nfs4Mount(mounted, 10 * SECOND));
    const id = player.read(A, 11 * SECOND, { checked: true });
    assert.equal(isPartial(player, id), true);
  });

  test('the same holds for a verifier that has changed', () => {
    for (const walks of [false, true]) {
      const player = new Player();
      player.play(nfs4Mount(mounted, 10 * SECOND)).machine.walked(A);
      player.read(A, 11 * SECOND, { checked: true });
      player.play(nfs4Mount({ ...mounted, verifier: V2, clId: 7 }, 100 * SECOND));
      if (walks) player.machine.walked(A);
      const id = player.read(A, 101 * SECOND, { checked: true });
      assert.equal(id, 42);
      assert.equal(isPartial(player, id), !walks);
    }
  });

  test('an NFSv3 mount needs none, nor do traces without checks', () => {
    const player = new Player();
    player.play(nfs3Mount(A, 10 * SECOND));
    assert.equal(isPartial(player, player.read(A, 11 * SECOND, { checked: true })), false);
    player.play(nfs4Mount({ ...mounted, client: B }, 10 * SECOND));
    assert.equal(isPartial(player, player.read(B, 11 * SECOND)), false);
  });
});
