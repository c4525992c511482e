/** The boot-session machine: which evidence opens, closes and goes on with a session. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Player, ROOT } from './session-player.ts';
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
const MINUTE = 60 * SECOND;
const V1 = '0000000000000001';
const V2 = '0000000000000002';
const V3 = '0000000000000003';
const OWNER = 'Linux NFSv4.2 victim';

describe('NFSv3', () => {
  test('one mount sends FSINFO twice and is one session', () => {
    const player = new Player();
    const [first, second] = nfs3Mount(A, 10 * SECOND);
    assert.ok(first && second);
    player.play([first]);
    assert.equal(player.read(A, first.atUs + 1_000), 41);
    player.play([second]);
    assert.equal(player.read(A, second.atUs + 1_000), 41);
    assert.deepEqual(player.story, ['41 10.0.0.7 nfs3-mount']);
  });

  test('the next mount is the next session', () => {
    const player = new Player();
    player.play(nfs3Mount(A, 10 * SECOND)).boot(A, 11 * SECOND);
    player.play(nfs3Mount(A, 60 * SECOND));
    assert.deepEqual(player.boot(A, 61 * SECOND), [42]);
    assert.deepEqual(player.story, [
      '41 10.0.0.7 nfs3-mount closed:boot',
      '42 10.0.0.7 nfs3-mount',
    ]);
  });

  test('FSINFO of another directory says nothing', () => {
    const player = new Player();
    player.play(nfs3Mount(A, 10 * SECOND)).boot(A, 11 * SECOND);
    player.keep(
      player.machine.marker(
        marker({ kind: 'fsinfo', client: A, atUs: 60 * SECOND, hash: 0x1234 }),
        null,
      ),
    );
    assert.equal(player.read(A, 61 * SECOND), 41);
  });

  test('where the file handle of FSINFO is not known, silence decides', () => {
    const player = new Player();
    const mount = (atUs: number) =>
      nfs3Mount(A, atUs).forEach((seen) =>
        player.keep(player.machine.marker({ ...seen, hash: 0 }, null)),
      );
    mount(10 * SECOND);
    player.boot(A, 11 * SECOND);
    mount(13 * SECOND);
    player.read(A, 13 * SECOND);
    mount(60 * SECOND);
    player.boot(A, 61 * SECOND);
    assert.deepEqual(player.story, [
      '41 10.0.0.7 nfs3-mount closed:boot',
      '42 10.0.0.7 nfs3-mount',
    ]);
  });

  test('a mount that is tried again and again is one boot', () => {
    const player = new Player();
    for (let second = 10; second < 40; second += 1) {
      player.play(nfs3Mount(A, second * SECOND));
      assert.equal(player.read(A, second * SECOND + 30_000), 41);
    }
  });
});

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

describe('both versions in one boot', () => {
  const home = (verifier: string, clId: number) => ({
    client: A,
    owner: OWNER,
    verifier,
    clId,
  });

  test('root on v3, /home on v4 later: one session', () => {
    const player = new Player();
    player.play(nfs3Mount(A, 10 * SECOND)).boot(A, 11 * SECOND);
    player.read(A, 30 * SECOND);
    player.play(nfs4Mount(home(V1, 1), 30 * SECOND + 50_000));
    assert.equal(player.read(A, 31 * SECOND), 41);
    assert.equal(player.read(A, 32 * SECOND, { rootId: 2 }), 42);
    assert.deepEqual(player.story, [
      '41 10.0.0.7 nfs3-mount',
      '42 10.0.0.7 nfs4-new-client root:2',
    ]);
  });

  test('... and its reboot is one boot, not two', () => {
    const player = new Player();
    player.play(nfs3Mount(A, 10 * SECOND)).boot(A, 11 * SECOND);
    player.read(A, 30 * SECOND);
    player.play(nfs4Mount(home(V1, 1), 30 * SECOND + 50_000));
    player.play(nfs3Mount(A, 100 * SECOND)).boot(A, 101 * SECOND);
    player.read(A, 120 * SECOND);
    const again = { ...home(V2, 9), oldVerifier: V1, oldClId: 2 };
    player.play(nfs4HardReboot(again, 120 * SECOND + 50_000));
    assert.equal(player.read(A, 121 * SECOND), 42);
  });

  test('booted with v3, then with v4, then with v3: three sessions', () => {
    const player = new Player();
    player.play(nfs3Mount(A, 10 * SECOND)).boot(A, 11 * SECOND);
    player.play(nfs4Mount(home(V1, 1), 60 * SECOND)).boot(A, 61 * SECOND);
    player.play(nfs3Mount(A, 120 * SECOND)).boot(A, 121 * SECOND);
    assert.deepEqual(player.story, [
      '41 10.0.0.7 nfs3-mount closed:boot',
      '42 10.0.0.7 nfs4-new-client closed:boot',
      '43 10.0.0.7 nfs3-mount',
    ]);
  });

  test('a client up on v4 that mounts over v3 as well goes on', () => {
    const player = new Player();
    player.play(nfs4Mount(home(V1, 1), 10 * SECOND)).boot(A, 11 * SECOND);
    player.read(A, 40 * SECOND);
    player.play(nfs3Mount(A, 40 * SECOND + 100_000));
    assert.equal(player.read(A, 41 * SECOND), 41);
  });
});

describe('without markers', () => {
  test('first traffic is partial', () => {
    const player = new Player();
    player.read(A, 10 * SECOND);
    assert.deepEqual(player.story, ['41 10.0.0.7 first-traffic partial']);
  });

  test('quiet time closes at a moment that does not depend on who looks', () => {
    const player = new Player();
    player.read(A, 10 * SECOND);
    player.keep(player.machine.tick(10 * SECOND + 15 * MINUTE - 1));
    assert.equal(player.sessions.get(41)?.closed, null);
    player.keep(player.machine.tick(40 * MINUTE));
    assert.equal(player.sessions.get(41)?.closedUs, 10 * SECOND + 15 * MINUTE);
  });

  test('what comes after the quiet continues the session before', () => {
    const player = new Player();
    player.play(nfs3Mount(A, 1 * SECOND)).boot(A, 2 * SECOND);
    player.read(A, 30 * MINUTE);
    assert.deepEqual(player.story, [
      '41 10.0.0.7 nfs3-mount closed:quiet',
      '42 10.0.0.7 quiet partial',
    ]);
    assert.deepEqual(player.sessions.get(42)?.session.evidence.detail, { after: 41 });
  });

  test('a boot after the quiet is a boot', () => {
    const player = new Player();
    player.play(nfs3Mount(A, 1 * SECOND)).boot(A, 2 * SECOND);
    player.play(nfs3Mount(A, 30 * MINUTE)).boot(A, 30 * MINUTE + SECOND);
    assert.deepEqual(player.story, [
      '41 10.0.0.7 nfs3-mount closed:quiet',
      '42 10.0.0.7 nfs3-mount',
    ]);
  });

  test('a later v4 mount is no evidence for what the session before the quiet had read', () => {
    const player = new Player();
    player.play(nfs3Mount(A, 1 * SECOND)).boot(A, 2 * SECOND);
    player.read(A, 30 * SECOND);
    const home = { client: A, owner: OWNER, verifier: V1, clId: 1 };
    player.play(nfs4Mount(home, 30 * SECOND + 50_000));
    player.read(A, 31 * SECOND);
    player.read(A, 60 * MINUTE);
    assert.deepEqual(player.story, [
      '41 10.0.0.7 nfs3-mount closed:quiet',
      '42 10.0.0.7 quiet partial',
    ]);
  });

  test('the first traffic that soon reads init was a boot', () => {
    const player = new Player();
    player.boot(A, 10 * SECOND);
    assert.deepEqual(player.story, ['41 10.0.0.7 init-read']);
    assert.equal(player.kinds('revised').length, 1);
  });

  test('init read after a silence is the next boot', () => {
    const player = new Player();
    player.boot(A, 10 * SECOND);
    player.read(A, 20 * SECOND, { readsInit: true });
    player.read(A, 20 * SECOND + 1_000, { readsInit: true });
    player.read(A, 21 * SECOND);
    assert.deepEqual(player.story, ['41 10.0.0.7 init-read closed:boot', '42 10.0.0.7 init-read']);
  });

  test('what came between the silence and init makes the new session partial', () => {
    const player = new Player();
    player.boot(A, 10 * SECOND);
    assert.deepEqual(player.boot(A, 20 * SECOND), [41, 42]);
    assert.deepEqual(player.story, [
      '41 10.0.0.7 init-read closed:boot',
      '42 10.0.0.7 init-read partial',
    ]);
    assert.deepEqual(player.sessions.get(42)?.session.evidence.detail, { after: 41 });
  });

  test('init read by a client that is up is no boot', () => {
    const player = new Player();
    player.boot(A, 10 * SECOND);
    player.read(A, 12 * SECOND);
    assert.equal(player.read(A, 12 * SECOND + 1_000, { readsInit: true }), 41);
    const marked = new Player();
    marked.play(nfs3Mount(A, 1 * SECOND)).boot(A, 2 * SECOND);
    assert.equal(marked.read(A, 60 * SECOND, { readsInit: true }), 41);
  });
});

describe('life of a recording', () => {
  test('two clients and two roots never share a session', () => {
    const player = new Player();
    const ids = [
      player.read(A, 1 * SECOND),
      player.read(B, 1 * SECOND),
      player.read(A, 1 * SECOND, { rootId: 2 }),
      player.read('', 1 * SECOND),
    ];
    assert.deepEqual(ids, [41, 42, 43, 44]);
  });

  test('by hand: the next access opens the new session', () => {
    const player = new Player();
    player.read(A, 1 * SECOND);
    player.read(A, 1 * SECOND, { rootId: 2 });
    player.keep(player.machine.begin(A, ROOT, 2 * SECOND));
    player.read(A, 3 * SECOND);
    assert.equal(player.read(A, 3 * SECOND, { rootId: 2 }), 42);
    player.keep(player.machine.begin(A, null, 4 * SECOND));
    player.read(A, 5 * SECOND, { rootId: 2 });
    assert.deepEqual(player.story, [
      '41 10.0.0.7 first-traffic partial closed:manual',
      '42 10.0.0.7 first-traffic root:2 partial closed:manual',
      '43 10.0.0.7 manual closed:manual',
      '44 10.0.0.7 manual root:2',
    ]);
  });

  test('a stop closes, and evidence from before does not outlive it', () => {
    const player = new Player();
    player.play(nfs3Mount(A, 1 * SECOND)).boot(A, 2 * SECOND);
    player.play(nfs3Mount(B, 3 * SECOND));
    player.keep(player.machine.closeRoot(ROOT, 10 * SECOND, 'stop'));
    player.machine.openRoot(ROOT, 20 * SECOND);
    player.read(A, 21 * SECOND);
    player.read(B, 21 * SECOND);
    assert.deepEqual(player.story, [
      '41 10.0.0.7 nfs3-mount closed:stop',
      '42 10.0.0.7 first-traffic partial',
      '43 10.0.0.8 first-traffic partial',
    ]);
  });

  test('a root whose recording starts after the boot has a partial session', () => {
    const player = new Player();
    const who = { client: A, owner: OWNER, verifier: V1, clId: 1 };
    player.machine.openRoot(ROOT, 1 * SECOND);
    player.play(nfs4Mount(who, 2 * SECOND));
    player.machine.openRoot(2, 10 * SECOND);
    player.read(A, 11 * SECOND);
    player.read(A, 11 * SECOND, { rootId: 2 });
    assert.deepEqual(player.story, [
      '41 10.0.0.7 nfs4-new-client',
      '42 10.0.0.7 first-traffic root:2 partial',
    ]);
  });

  test('a restart goes on with the open sessions and knows the clients', () => {
    const before = new Player();
    const who = { client: A, owner: OWNER, verifier: V1, clId: 1 };
    before.play(nfs4Mount(who, 10 * SECOND)).boot(A, 11 * SECOND);
    const after = new Player({
      nextSessionId: 42,
      open: before.machine.open,
      identities: [{ address: A, ownerName: Buffer.from(OWNER), verifier: V1 }],
    });
    after.play(nfs4Mount({ ...who, clId: 7 }, 60 * SECOND));
    assert.equal(after.read(A, 61 * SECOND), 41);
    const again = { ...who, verifier: V2, clId: 20, oldVerifier: V1, oldClId: 8 };
    after.play(nfs4HardReboot(again, 90 * SECOND));
    assert.equal(after.read(A, 91 * SECOND), 42);
    assert.equal(after.sessions.get(42)?.session.evidence.kind, 'nfs4-verifier');
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
