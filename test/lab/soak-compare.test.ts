/** The soak's judge: what it must accept, and what it must not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReferenceEvent } from './reference-events.ts';
import { compareSoak, type SoakInput, type SoakObject, type SoakSession } from './soak-compare.ts';

const client = '10.77.1.1';
const names = new Map([
  [1, [Buffer.from('usr/bin/one'), Buffer.from('usr/bin/uno')]],
  [2, [Buffer.from('usr/bin/two')]],
]);
const read = (hash: number, time: number, bytes = 100): ReferenceEvent => ({
  ...{ time, client, hash, kind: 'read', bytes },
});
const object = (name: string, more: Partial<SoakObject> = {}): SoakObject => ({
  ...{ names: [name], bytes: 100, read: true, readlink: false, weak: false },
  ...more,
});
const boot = { client, version: '4.2', from: 100, to: 120 } as const;
const next = { ...boot, from: 130, to: 140 };
const [one, two] = [object('usr/bin/uno'), object('usr/bin/two')];
const whole: SoakSession = {
  ...{
    name: 'session-1',
    client,
    opened: 101,
    partial: false,
    losses: [],
    objects: [one, two],
    remarks: 'nfs3-mount',
  },
};
const half: SoakSession = { ...whole, objects: [one] };
const second: SoakSession = { ...half, name: 'session-2', opened: 131 };
const loss = { from: 104, to: 112, where: 'daemon-restart' };

function judge(input: Partial<SoakInput>) {
  const events = [read(1, 102), read(2, 110)];
  const { wrong, ...figures } = compareSoak({
    ...{ boots: [boot], events, names, sessions: [whole], losses: [], ...input },
  });
  const { compared, equal, covered, uncovered, rescanned, exact } = figures;
  return {
    wrong: wrong.join('\n'),
    figures: { equal, covered, uncovered, rescanned, exact },
    compared,
  };
}

test('a session that says the same is exact, by whatever name', () => {
  assert.deepEqual(judge({}), {
    ...{ wrong: '', compared: 2 },
    figures: { equal: 2, covered: 0, uncovered: 0, rescanned: 0, exact: 1 },
  });
});

test('what is missing or counted otherwise without a loss is wrong', () => {
  assert.match(judge({ sessions: [half] }).wrong, /session-1: usr\/bin\/two is not there/);
  assert.equal(judge({ sessions: [half] }).figures.uncovered, 1);
  const twice = judge({ events: [read(1, 102), read(1, 103), read(2, 110)] });
  assert.match(
    twice.wrong,
    /one is read, 100 bytes, the trace has read, 200 bytes at 102.00 103.00/,
  );
  const looked = { ...whole, objects: [one, object('usr/bin/two', { readlink: true })] };
  assert.match(judge({ sessions: [looked] }).wrong, /two is read, readlink, 100 bytes/);
});

test('a boot without a session, or with two, is wrong', () => {
  assert.match(judge({ sessions: [] }).wrong, /no session began, and no loss has its beginning/);
  assert.match(judge({ sessions: [] }).wrong, /without a session: usr\/bin\/one is not there/);
  const later = { ...half, name: 'session-2', opened: 115, objects: [] };
  assert.match(judge({ sessions: [whole, later] }).wrong, /session-1 and session-2/);
});

test('a loss explains what was used while it lasted, and nothing else', () => {
  const { wrong, figures } = judge({ sessions: [{ ...half, losses: [loss] }] });
  assert.deepEqual([wrong, figures.equal, figures.covered, figures.exact], ['', 1, 1, 0]);
  const events = [read(1, 102), read(2, 102), read(2, 110)];
  assert.match(
    judge({ events, sessions: [{ ...half, losses: [loss] }] }).wrong,
    /two is not there/,
  );
  const some = { ...whole, losses: [loss] };
  assert.equal(judge({ events, sessions: [some] }).wrong, '');
  const much = { ...some, objects: [one, object('usr/bin/two', { bytes: 300 })] };
  assert.match(judge({ events, sessions: [much] }).wrong, /two is read, 300 bytes/);
  const early = { ...loss, to: 109 };
  assert.match(judge({ sessions: [{ ...half, losses: [early] }] }).wrong, /two is not there/);
});

test('a loss of file events or of another session explains nothing', () => {
  const names = { ...loss, where: 'fanotify-queue' };
  assert.match(judge({ sessions: [{ ...half, losses: [names] }] }).wrong, /two is not there/);
  assert.match(judge({ sessions: [half], losses: [loss] }).wrong, /two is not there/);
});

test('a loss leaves no room for what was never used', () => {
  const strange = { ...whole, losses: [loss], objects: [one, two, object('etc/other')] };
  assert.match(judge({ sessions: [strange] }).wrong, /did not use: etc\/other/);
});

test('a session may begin late within a loss of the recording, if it says so', () => {
  const late = { ...whole, opened: 109, partial: true, objects: [two] };
  const events = [read(1, 105), read(2, 110)];
  assert.equal(judge({ events, sessions: [late], losses: [loss] }).wrong, '');
  const silent = { ...late, partial: false };
  assert.match(judge({ events, sessions: [silent], losses: [loss] }).wrong, /is not partial/);
  assert.match(judge({ events, sessions: [late] }).wrong, /one is not there/);
});

test('a boot that began within a loss may go on in the session before', () => {
  const events = [read(1, 102), read(2, 131), read(2, 135)];
  const away = { ...loss, from: 104, to: 132 };
  const sessions = [{ ...whole, losses: [away] }];
  const boots = [boot, next];
  assert.equal(judge({ boots, events, sessions, losses: [away] }).wrong, '');
  const short = { ...away, to: 129 };
  const refused = judge({ boots, events, sessions, losses: [short] });
  assert.match(refused.wrong, /130.00 to 140.00 s: no session began/);
});

test('what one boot used is not in the session of another', () => {
  const events = [read(1, 102), read(2, 132)];
  const boots = [boot, next];
  const swapped = judge({ boots, events, sessions: [whole, second] });
  assert.match(swapped.wrong, /session-1: has what 10.77.1.1 did not use: usr\/bin\/two/);
  assert.match(swapped.wrong, /session-2: usr\/bin\/two is not there/);
});

test('what was found by access times is counted, and must have been used', () => {
  const weak = object('usr/bin/two', { bytes: 0, weak: true });
  const found = judge({ sessions: [{ ...whole, losses: [loss], objects: [one, weak] }] });
  assert.deepEqual([found.wrong, found.figures.rescanned], ['', 1]);
  const strange = object('etc/other', { bytes: 0, weak: true });
  const wrong = judge({ sessions: [{ ...whole, losses: [loss], objects: [one, two, strange] }] });
  assert.match(wrong.wrong, /did not use: etc\/other/);
});

test('nothing begins or happens while a client is off', () => {
  const sessions = [whole, { ...half, name: 'session-2', opened: 125, objects: [] }];
  assert.match(judge({ sessions }).wrong, /session-2 of 10.77.1.1 began at 125.00/);
  const events = [read(1, 102), read(2, 110), read(2, 126)];
  assert.match(judge({ events }).wrong, /10.77.1.1 did something at 126.00/);
});
