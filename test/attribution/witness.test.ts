/** What one witness of a read saw and the other did not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Witness } from '../../src/attribution/witness.ts';

test('both sources in one flush, a little earlier or any later agree', () => {
  const witness = new Witness();
  witness.trace(1, 10);
  witness.file(1, 10);
  witness.trace(2, 10);
  witness.file(2, 13);
  witness.file(3, 11);
  witness.trace(3, 14);
  assert.equal(witness.unmatched(14), false);
  assert.deepEqual(witness.judge(14), []);
});

test('a read that only one source has is told once', () => {
  const witness = new Witness();
  witness.trace(1, 10);
  witness.file(2, 10);
  assert.deepEqual(witness.judge(9), []);
  assert.equal(witness.unmatched(10), true);
  assert.deepEqual(witness.judge(10), [
    { objectId: 1, missing: 'file', flush: 10 },
    { objectId: 2, missing: 'trace', flush: 10 },
  ]);
  assert.equal(witness.unmatched(12), false);
  assert.deepEqual(witness.judge(12), []);
});

test('a half that comes before the flush is judged is not missing', () => {
  const witness = new Witness();
  witness.trace(1, 10);
  assert.equal(witness.unmatched(10), true);
  witness.file(1, 12);
  assert.equal(witness.unmatched(10), false);
  assert.deepEqual(witness.judge(12), []);
});

test('a read long before does not vouch for a new one', () => {
  const witness = new Witness();
  witness.trace(1, 10);
  witness.file(1, 10);
  assert.deepEqual(witness.judge(10), []);
  witness.trace(1, 14);
  assert.deepEqual(witness.judge(14), [{ objectId: 1, missing: 'file', flush: 14 }]);
});

test('what comes after its flush was judged is judged with the next', () => {
  const witness = new Witness();
  assert.deepEqual(witness.judge(12), []);
  witness.trace(6, 2);
  assert.deepEqual(witness.judge(20), [{ objectId: 6, missing: 'file', flush: 13 }]);
});
