/**
 * What must not matter: where batches are cut, when somebody looks at the clock, and markers that
 * the server repeats. Random histories from a fixed seed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NfsMarker } from '../../src/common/batches.ts';
import { Player } from './session-player.ts';
import { nfs3Mount, nfs4HardReboot, nfs4Mount, SECOND } from './trace-sequences.ts';

interface Access {
  readonly client: string;
  readonly rootId: number;
  readonly atUs: number;
  readonly lastUs: number;
  readonly readsInit: boolean;
}

type Step = { readonly marker: NfsMarker } | { readonly access: Access };

/** mulberry32: small, and the same on every machine. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const CLIENTS = ['10.0.0.7', '10.0.0.8', '2001:db8::9'];

/** A history of boots, mounts, remounts, traffic and silences of a few clients. */
function history(seed: number): Step[] {
  const random = randomFrom(seed);
  const steps: Step[] = [];
  const boots = new Map<string, { verifier: string; clId: number }>();
  let atUs = 1_000 * SECOND;
  let clId = 1;
  const marks = (markers: readonly NfsMarker[]) => {
    for (const marker of markers) steps.push({ marker });
    atUs += SECOND / 10;
  };
  for (let turn = 0; turn < 60; turn += 1) {
    atUs += [SECOND / 100, SECOND, 10 * SECOND, 400 * SECOND, 1_000 * SECOND][random(5)] ?? 0;
    const client = CLIENTS[random(CLIENTS.length)] ?? '';
    const known = boots.get(client);
    // Sometimes two clients have one host name.
    const owner = random(4) === 0 ? 'Linux NFSv4.2 clone' : `Linux NFSv4.2 ${client}`;
    clId += 10;
    const what = random(8);
    if (what === 0) marks(nfs3Mount(client, atUs));
    if (what === 1) {
      const verifier = clId.toString(16).padStart(16, '0');
      marks(nfs4Mount({ client, owner, verifier, clId }, atUs));
      boots.set(client, { verifier, clId: clId + 1 });
    }
    if (what === 2 && known !== undefined) {
      const verifier = clId.toString(16).padStart(16, '0');
      const old = { oldVerifier: known.verifier, oldClId: known.clId };
      marks(nfs4HardReboot({ client, owner, verifier, clId, ...old }, atUs));
      boots.set(client, { verifier, clId });
    }
    if (what === 3 && known !== undefined)
      marks(nfs4Mount({ client, owner, verifier: known.verifier, clId }, atUs));
    for (let n = random(6); n > 0; n -= 1) {
      const lastUs = atUs + random(SECOND);
      const readsInit = random(5) === 0;
      steps.push({ access: { client, rootId: 1 + random(2), atUs, lastUs, readsInit } });
      atUs = lastUs + random(SECOND / 10);
    }
  }
  return steps;
}

/** Every session as it ended up, and which session had each access. */
function outcome(player: Player, ids: readonly number[]): unknown {
  const sessions = [...player.sessions.values()].sort((a, b) => a.session.id - b.session.id);
  return {
    ids,
    sessions: sessions.map(({ session, closed, closedUs }) => ({ ...session, closed, closedUs })),
    collisions: player.kinds('collision'),
  };
}

interface Variation {
  /** Plays the step, in one or several pieces; returns the session of an access. */
  (player: Player, step: Step, random: (below: number) => number): number[];
}

function plain(player: Player, step: Step): number[] {
  if ('marker' in step) {
    player.play([step.marker]);
    return [];
  }
  const { client, atUs, ...more } = step.access;
  return [player.read(client, atUs, more)];
}

function play(seed: number, variation: Variation): unknown {
  const random = randomFrom(seed ^ 0x5eed);
  const player = new Player({ quietUs: 900 * SECOND });
  const ids = history(seed).flatMap((step) => variation(player, step, random));
  player.keep(player.machine.tick(1e12));
  return outcome(player, ids);
}

const VARIATIONS: readonly (readonly [string, Variation])[] = [
  [
    'somebody looks at the clock at any moment',
    (player, step, random) => {
      const atUs = 'marker' in step ? step.marker.atUs : step.access.atUs;
      if (random(2) === 0) player.keep(player.machine.tick(atUs));
      return plain(player, step);
    },
  ],
  [
    'markers are repeated',
    (player, step, random) => {
      const again = 'marker' in step ? random(3) : 0;
      for (let n = 0; n < again; n += 1) plain(player, step);
      return plain(player, step);
    },
  ],
  [
    'a batch is cut in the middle of a row',
    (player, step, random) => {
      if ('marker' in step || random(2) === 0) return plain(player, step);
      const { atUs, lastUs } = step.access;
      const cut = atUs + random(lastUs - atUs + 1);
      const first = plain(player, { access: { ...step.access, lastUs: cut } });
      const second = plain(player, { access: { ...step.access, atUs: cut } });
      assert.deepEqual(first, second);
      return first;
    },
  ],
];

for (const [what, variation] of VARIATIONS)
  test(`the same sessions when ${what}`, () => {
    for (let seed = 1; seed <= 200; seed += 1)
      assert.deepEqual(play(seed, variation), play(seed, plain), `seed ${seed}`);
  });

test('a client has at most one open session on a root, and numbers only go up', () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const player = new Player({ quietUs: 900 * SECOND });
    for (const step of history(seed)) {
      plain(player, step);
      const keys = player.machine.open.map(({ client, rootId }) => `${client} ${rootId}`);
      assert.equal(new Set(keys).size, keys.length);
    }
    const opened = player.kinds('opened').map((e) => (e.kind === 'opened' ? e.session.id : 0));
    assert.deepEqual(
      opened,
      opened.map((_, index) => 41 + index),
    );
  }
});
