/** Whose an access time is said to be, and in which order. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { BatchBuilder } from '../../src/recording/batch-builder.ts';
import { ClientFilter } from '../../src/recording/client-filter.ts';
import { nowUs, wallOffsetUs } from '../../src/recording/clock.ts';
import { Rescan } from '../../src/recording/rescan.ts';
import type { RootRecording } from '../../src/recording/root-recording.ts';
import { SessionSpans, type SessionSpan } from '../../src/recording/session-spans.ts';
import type { AccessTime } from '../../src/recording/volumes.ts';
import { WallClock } from '../../src/recording/wall-clock.ts';

const MINUTE = 60_000_000;
const RECORDING = 70;

describe('access times after a loss', () => {
  let found: AccessTime[];
  let now: number;
  let spans: SessionSpans;
  beforeEach(() => {
    found = [];
    now = nowUs();
    spans = new SessionSpans([]);
  });
  const wall = new WallClock({ known: null });
  const session = (id: number, openedUs: number): Omit<SessionSpan, 'closedUs'> => ({
    id,
    client: '10.0.0.7',
    recordingId: RECORDING,
    openedUs,
  });

  async function look(fromUs: number): Promise<BatchBuilder> {
    const options = { recordingId: RECORDING, startedUs: -Infinity, clients: new ClientFilter([]) };
    const root = {
      options,
      knownFileOf: () => undefined,
      fileOf: (object: number) => object,
      newsOf: () => undefined,
      pathOf: (object: number) => Buffer.from(`path ${9 - object}`),
      rewalk: () => Promise.resolve(),
      accessedBetween: () => Promise.resolve(found),
    } as unknown as RootRecording;
    const builder = new BatchBuilder();
    builder.losses.push({
      recordingId: RECORDING,
      sessionId: null,
      where: 'root-absent',
      count: 1,
      fromUs: wall.toWall(fromUs),
      toUs: wall.toWall(now),
    });
    const rescan = new Rescan({
      roots: new Map([[1, root]]),
      spans,
      wall,
      waiting: () => 0,
      serverPorts: () => [],
      knownClients: () => [],
      nextFileId: () => 1,
      filesOf: () => new Set(),
    });
    await rescan.apply(builder, { whole: true, traced: false });
    return builder;
  }

  test('come by time, and what has one time by path', async () => {
    spans = new SessionSpans([session(1, now - MINUTE)]);
    const offsetUs = wallOffsetUs();
    const at = (object: number, us: number): AccessTime => ({
      object,
      atUs: now - MINUTE + us + offsetUs,
      link: false,
    });
    found = [at(1, 30), at(2, 20), at(3, 20), at(4, 10)];
    const builder = await look(now - MINUTE);
    assert.deepEqual(
      builder.accesses().map(({ fileId, order }) => [fileId, order]),
      [
        [4, 0],
        [3, 1],
        [2, 2],
        [1, 3],
      ],
    );
  });

  test('are nobody’s if a session that may have been open is not remembered any more', async () => {
    found = [{ object: 1, atUs: now, link: false }];
    const [earlier, later] = [session(1, now - 60 * MINUTE), session(2, now - 30 * MINUTE)];
    spans = new SessionSpans([earlier, later]);
    spans.follow([{ kind: 'closed', id: 1, reason: 'quiet', atUs: now - 40 * MINUTE }], now);
    const before = await look(now - 45 * MINUTE);
    assert.deepEqual(before.accesses(), []);
    assert.match(
      before.losses[0]?.detail ?? '',
      /1 file has an access time in that time; too long ago to know whether session-2 alone was open/,
    );
    const after = await look(now - 35 * MINUTE);
    assert.equal(after.accesses().length, 1, 'a long time, but all that was open is known');
  });
});
