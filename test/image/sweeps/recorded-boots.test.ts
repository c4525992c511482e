/** Real boots, and real sweeps after them: no boot loses a thing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findSweeps } from '../../../src/image/sweeps/find-sweeps.ts';
import { readBoots } from './recorded-boots.ts';

const { tree, boots } = readBoots();

it('there is one over NFSv3 and one over v4.2', () => {
  assert.deepEqual(
    boots.map(({ nfs }) => nfs),
    ['3', '4.2'],
  );
});

for (const { nfs, doneUs, touches } of boots)
  describe(`a boot over NFSv${nfs}`, () => {
    const ofBoot = touches.filter(({ firstUs }) => firstUs < doneUs);
    const sweeps = findSweeps(touches, tree);
    const swept = new Set(sweeps.flatMap((one) => one.swept.flatMap(({ names }) => names)));

    it('has no sweep in it', () => {
      assert.ok(ofBoot.length > 400, `${ofBoot.length}`);
      const until = ofBoot.map((one) => ({ ...one, lastUs: Math.min(one.lastUs, doneUs) }));
      assert.deepEqual(findSweeps(until, tree), []);
    });

    it('keeps all that it used, whatever goes through it afterwards', () => {
      assert.ok(swept.size > 500, `${swept.size}`);
      const lost = ofBoot.filter(({ names }) => names.some((name) => swept.has(name)));
      assert.deepEqual(lost, []);
    });

    it('and what is used after the sweeps', () => {
      assert.equal(swept.has('usr/bin/find'), false);
      assert.equal(swept.has('usr/share/doc/bash/copyright'), false);
    });

    it('has the sweeps that were there', () => {
      const told = sweeps.map(({ top, doubt }) => `/${top} ${doubt ?? 'whole'}`);
      const doubt = nfs === '3' ? 'whole' : 'unseen';
      for (const one of [
        '/ whole',
        ...['usr/share/doc', 'usr/share/man', 'usr/lib/x86_64-linux-gnu'].map(
          (top) => `/${top} ${doubt}`,
        ),
      ])
        assert.ok(told.includes(one), `${one}: ${told.join(', ')}`);
    });
  });
