/** The table of docs/compatibility.md: what tests note ends in it, and nothing else does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  checkCompatibility,
  renderCompatibility,
  type Compatibility,
  type CompatibilityOptions,
} from './compatibility.ts';

const HEAD = `# What works where

Words of a person.

| kernel | NFS | export | file system | what | tier | result |
|---|---|---|---|---|---|---|
`;
const old = '| bullseye 5.10 | 3 | UUID | ext4 | files | reads | right |\n';
const usual = '| bookworm 6.1 | 4.2 | UUID | ext4 | files | exact | right |\n';
const on610: Compatibility = {
  kernel: 'bookworm',
  nfs: '4.2',
  what: 'files',
  tier: 'exact',
  result: 'right',
};
const on510: Compatibility = { ...on610, kernel: 'bullseye', nfs: '3', tier: 'reads' };

const whole = (page: string, ...rows: readonly Compatibility[]): CompatibilityOptions => ({
  ...{ page, rows, whole: true },
});
const partial = (page: string, ...rows: readonly Compatibility[]): CompatibilityOptions => ({
  ...{ page, rows, whole: false },
});

test('rows are sorted by kernel, the oldest first, and the words before the table stay', () => {
  assert.equal(renderCompatibility(whole(HEAD, on610, on510)), HEAD + old + usual);
  assert.equal(renderCompatibility(whole('# What\n\n', on510)).split('\n').at(-2), old.trim());
});

test('a whole run must give the committed table', () => {
  assert.equal(checkCompatibility(whole(HEAD + old + usual, on610, on510)), null);
  const text = checkCompatibility(whole(HEAD + old + usual, on610));
  assert.match(text ?? '', /^- \| bullseye 5\.10 \|/m);
  assert.match(text ?? '', /--write-compatibility/);
});

test('a partial run must find its own rows in the table, and leaves the others', () => {
  assert.equal(checkCompatibility(partial(HEAD + old + usual, on610)), null);
  assert.equal(checkCompatibility(partial(HEAD + old + usual)), null);
  assert.match(checkCompatibility(partial(HEAD + old, on610)) ?? '', /^\+ \| bookworm 6\.1 \|/m);
  const worse = checkCompatibility(partial(HEAD + old + usual, { ...on610, tier: 'reads' })) ?? '';
  assert.match(worse, /^- .*exact/m);
  assert.match(worse, /^\+ .*reads/m);
  assert.equal(renderCompatibility(partial(HEAD + old, on610)), HEAD + old + usual);
});

test('one thing noted twice is one row; two answers to one question are an error', () => {
  assert.equal(renderCompatibility(whole(HEAD, on610, on610)), HEAD + usual);
  assert.throws(() => renderCompatibility(whole(HEAD, on610, { ...on610, result: 'wrong' })));
  assert.throws(() => renderCompatibility(whole(HEAD, { ...on610, what: 'a|b' })), /cannot hold/);
});
