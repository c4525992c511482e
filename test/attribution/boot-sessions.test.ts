/** The boot-session machine: which evidence opens, closes and goes on with a session. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Player, ROOT } from './session-player.ts';
import { marker, nfs3Mount, nfs4HardReboot, nfs4Mount, SECOND } from './trace-sequences.ts';

const A = '10.0.0.7';
const B = '10.0.0.8';
const MINUTE = 60 * SECOND;
const V1 = '0000000000000001';
const V2 = '0000000000000002';
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
