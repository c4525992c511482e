/**
 * However what the sensors saw reaches the daemon, the result is the same: sessions, files,
 * operations, counts, names, no loss. Batches of a real NFS server, through the real pipe,
 * attribution and store. A failure tells the seed: NFSROOT_TRACE_SEED=N plays that one alone.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FIXTURE, readRecorded } from './fixture.ts';
import { asRecorded, play, type Played } from './player.ts';
import { planOf, randomFrom, type Variation } from './variations.ts';

const SEEDS = 8;
const SECOND = 1_000_000;

const VARIATIONS: readonly (readonly [string, Variation])[] = [
  ['batches are cut elsewhere', { flushUs: 0.9 * SECOND }],
  ['batches are crumbs', { flushUs: 0.1 * SECOND }],
  ['batches are few', { flushUs: 8 * SECOND }],
  ['file events come late', { filesLateUs: 3 * SECOND, flushUs: SECOND }],
  // By two flushes at most: a trace that lags more makes the witnesses suspicious, and rightly so.
  ['the trace comes late', { traceLateUs: SECOND, flushUs: SECOND }],
  ['batches are handed over twice', { againOneIn: 2, flushUs: 0.4 * SECOND }],
  [
    'all of that, with marks in between',
    {
      filesLateUs: 2 * SECOND,
      traceLateUs: 0.5 * SECOND,
      flushUs: 0.5 * SECOND,
      againOneIn: 3,
      wholeOneIn: 6,
    },
  ],
];

describe('a recorded stream', () => {
  const recorded = readRecorded(FIXTURE);
  let expected: Played;

  test('gives the sessions of its clients, whole', async () => {
    expected = await play(recorded, asRecorded(recorded));
    assert.deepEqual(
      expected.sessions.map(({ client, evidence, partial }) => [
        client,
        (evidence as { kind: string }).kind,
        partial,
      ]),
      [
        ['10.77.0.31', 'nfs3-mount', false],
        ['10.77.0.32', 'nfs4-new-client', false],
        ['10.77.0.31', 'nfs3-mount', false],
        ['10.77.0.32', 'nfs4-verifier', false],
      ],
    );
    assert.deepEqual(expected.losses, []);
    const created = expected.sessions.flatMap(({ files }) =>
      files.filter((file) => file.created).map(({ names }) => names.join(' ')),
    );
    assert.ok(created.length > 20, created.join('\n'));
    assert.ok(expected.sessions.every(({ files }) => files.length > 20));
  });

  const only = process.env['NFSROOT_TRACE_SEED'];
  const seeds =
    only === undefined ? Array.from({ length: SEEDS }, (_, i) => i + 1) : [Number(only)];
  for (const [what, variation] of VARIATIONS)
    test(`gives the same when ${what}`, async () => {
      for (const seed of seeds) {
        const played = await play(recorded, planOf(recorded, variation, randomFrom(seed)));
        assert.deepEqual(played, expected, `seed ${seed}`);
      }
    });
});
