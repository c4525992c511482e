import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Witness } from '../../src/attribution/witness.ts';

test('both sources in one flush or in neighbouring ones agree', () => {
  const witness = new Witness();
  witness.trace(1, 10);
  witness.file(1, 10);
  witness.trace(2, 10);
  witness.file(2, 11);
  witness.file(3, 11);
  witness.trace(3, 12);
  for (const flush of [10, 11, 12, 13, 14]) assert.deepEqual(witness.judge(flush), []);
  assert.deepEqual(witness.judge(15, { final: true }), []);
});

test('a read that only one source has is told once, two flushes later', () => {
  const witness = new Witness();
  witness.trace(1, 10);
  witness.file(2, 10);
  assert.deepEqual(witness.judge(10), []);
  assert.deepEqual(witness.judge(11), []);
  assert.deepEqual(witness.judge(12), [
    { objectId: 1, missing: 'file', flush: 10 },
    { objectId: 2, missing: 'trace', flush: 10 },
  ]);
  assert.deepEqual(witness.judge(13), []);
  assert.deepEqual(witness.judge(14, { final: true }), []);
});

test('two flushes apart is too far', () => {
  const witness = new Witness();
  witness.trace(1, 10);
  witness.file(1, 12);
  assert.deepEqual(witness.judge(20), [
    { objectId: 1, missing: 'file', flush: 10 },
    { objectId: 1, missing: 'trace', flush: 12 },
  ]);
});

test('the end judges what has no later flush', () => {
  const witness = new Witness();
  witness.file(7, 3);
  assert.deepEqual(witness.judge(3), []);
  assert.deepEqual(witness.judge(3, { final: true }), [
    { objectId: 7, missing: 'trace', flush: 3 },
  ]);
});

test('what comes after its flush was judged is judged with the next', () => {
  const witness = new Witness();
  assert.deepEqual(witness.judge(12), []);
  witness.trace(5, 9);
  witness.file(5, 11);
  assert.deepEqual(witness.judge(14), []);
  witness.trace(6, 2);
  assert.deepEqual(witness.judge(20), [{ objectId: 6, missing: 'file', flush: 13 }]);
});
