/** The live view's lines: whole screens as they are meant, and what no size or name may break. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cells, cutTo, fit, safe } from '../../src/cli/watch/cells.ts';
import { render, type Size } from '../../src/cli/watch/render.ts';
import { sparkline } from '../../src/cli/watch/sparkline.ts';
import { firstView, nextView, troubledView, type View } from '../../src/cli/watch/view.ts';
import { body, session, view } from './fixtures.ts';

const size = (columns: number, rows: number, unicode = true): Size => ({ columns, rows, unicode });
const text = (shown: View, screen: Size): string =>
  render(shown, screen)
    .map((line) => line.text.trimEnd())
    .join('\n');

describe('whole screens', () => {
  test('80 x 24', () => {
    assert.equal(
      text(view({ sessions: [session(7), session(8, { loss: 3, partial: true })] }), size(80, 24)),
      `12:00:40Z  tier exact  NFS trace running  daemon 4711 (0.1.0)
/nfsroots/sarge (new kernel)
clients 2  sessions 2  files 1108  new 12/s  events 1200/s  bytes 49 MB
1.0 MB/s
lost 3 in open sessions

new files a second, the last 5 min, at most 189
                                                                      █▅▂▁▁▁▁▁

CLIENT    SESSION    FILES  NEW/S  CALLS  BYTES  IMAGE  LOST  LAST
10.0.0.7  session-7    554     12   8107  49 MB  49 MB     0   now
10.0.0.8  session-8    554     12   8107  49 MB  49 MB     3   now











q leaves. IMAGE: sizes of the files so far, without what an image adds to them`,
    );
  });

  test('narrow and low: what matters most stays', () => {
    assert.equal(
      text(view(), size(32, 9)),
      `12:00:40Z  tier exact
/nfsroots/sarge (new kernel)
clients 1  sessions 1  files 554
new 12/s  events 1200/s
bytes 49 MB  1.0 MB/s
nothing lost
CLIENT    FILES  NEW/S  IMAGE
10.0.0.7    554     12  49 MB`,
    );
  });

  test('nothing recorded', () => {
    const { status } = body();
    const shown = view({ sessions: [], status: { ...status, recordings: [] } });
    assert.match(text(shown, size(80, 24)), /^nothing is being recorded$/m);
    assert.match(text(shown, size(80, 24)), /^no client has touched a recorded root$/m);
  });
});

describe('hundreds of clients', () => {
  const many = Array.from({ length: 200 }, (_, index) => session(index + 1));

  test('those that fit, and how many more', () => {
    const lines = render(view({ sessions: many, open_sessions: 200 }), size(80, 30));
    assert.equal(lines.length, 30);
    const shown = lines.filter((line) => line.text.startsWith('10.0.0.')).length;
    assert.ok(shown >= 8, String(shown));
    assert.match(
      lines.map((line) => line.text).join('\n'),
      new RegExp(`^and ${200 - shown} more$`, 'm'),
    );
  });

  test('those that the daemon did not list count too', () => {
    assert.match(
      text(view({ sessions: many.slice(0, 3), open_sessions: 191 }), size(80, 40)),
      /^and 188 more$/m,
    );
  });

  test('one too many is told, not shown', () => {
    const lines = text(view({ sessions: many.slice(0, 9) }), size(80, 19)).split('\n');
    const shown = lines.filter((line) => line.startsWith('10.0.0.')).length;
    assert.match(lines.join('\n'), new RegExp(`and ${9 - shown} more`));
  });
});

test('every size: no line too wide, not one too many, never a failure', () => {
  const { status } = body();
  const evil = 'x\u001b[2J\n\u202eevil\u0301\u200b 漢字 🐧'.repeat(3);
  const [recording] = status.recordings;
  assert.ok(recording !== undefined);
  const views = [
    view({
      sessions: Array.from({ length: 40 }, (_, id) => session(id, { client: evil, loss: id % 2 })),
      status: {
        ...status,
        version: evil,
        failure: evil,
        recordings: [1, 2, 3, 4, 5].map((id) => ({
          ...recording,
          recording: id,
          label: evil,
          root: {
            path: evil,
            path_base64: Buffer.from(`/a\n\xff${evil}`, 'latin1').toString('base64'),
          },
        })),
      },
    }),
    troubledView(firstView(body({ uncounted: 4 })), evil, body().at),
    firstView(body({ new_files: [] })),
  ];
  for (const shown of views)
    for (let columns = 0; columns <= 130; columns += columns < 12 ? 1 : 7)
      for (let rows = 0; rows <= 60; rows += rows < 16 ? 1 : 6)
        for (const unicode of [true, false]) {
          const lines = render(shown, size(columns, rows, unicode));
          const where = `${columns} x ${rows}`;
          assert.ok(lines.length <= rows, where);
          for (const line of lines) {
            assert.ok(cells(line.text) <= columns, `${where}: ${line.text}`);
            assert.doesNotMatch(line.text, /[\p{Cc}\u202e\u200b\u2028]/u, where);
          }
        }
});

describe('views', () => {
  test('a daemon that went away: since when, and the last look below', () => {
    const gone = troubledView(view(), 'no daemon listens on /run/x', '2026-01-31T12:00:41.000Z');
    const later = troubledView(gone, 'no daemon listens on /run/x', '2026-01-31T12:00:59.000Z');
    const shown = text(later, size(100, 24));
    assert.match(shown, /^since 12:00:41Z no daemon listens on \/run\/x; waiting/m);
    assert.match(shown, /^10\.0\.0\.7 /m);
    assert.equal(nextView(later, body(), 1000).trouble, null);
  });

  test('another daemon, or counts that began again: no rates', () => {
    assert.equal(nextView(view(), body({ feed: 'two' }), 1000).rates.events, null);
    const less = body({ seen: { files: 1, accesses: 1, bytes: 1, loss: 0 } });
    assert.equal(nextView(view(), less, 1000).rates.files, null);
    assert.equal(nextView(view(), body(), 0).rates.files, null);
  });

  test('rates are a second, however long it was', () => {
    const before = firstView(body({ seen: { files: 0, accesses: 0, bytes: 0, loss: 0 } }));
    assert.equal(nextView(before, body(), 4000).rates.files, 25);
  });

  test('labels and names of clients, and what was dropped beyond the bounds', () => {
    const { status } = body();
    const shown = text(
      view({
        sessions: [
          session(7, { client_label: 'rack1-07', client_name: 'a' }),
          session(8, { client_name: 'sarge.\u001b[2J' }),
        ],
        status: { ...status, dropped: { accesses: 3, evidence: 0, identities: 4, boots: 0 } },
      }),
      size(100, 24),
    );
    assert.match(shown, /^rack1-07 \(10\.0\.0\.7\) +session-7 /m);
    assert.match(shown, /^sarge\.\\x1b\[2J \(10\.0\.0\.8\) +session-8 /m);
    assert.match(shown, /^7 dropped beyond the bounds$/m);
  });

  test('nothing reaches the database', () => {
    const { status } = body();
    const shown = view({ status: { ...status, failure: 'no room left', uncommitted: 12 } });
    const line = render(shown, size(120, 24)).find(({ style }) => style === 'fail');
    assert.match(line?.text ?? '', /12 commits wait: no room left/);
  });
});

describe('the curve', () => {
  const drawn = (counts: number[], width: number, height = 1, unicode = true) =>
    sparkline({ counts, lastSecond: 999, width, height, unicode });

  test('scaled to its peak; what is not nothing shows', () => {
    assert.deepEqual(drawn([0, 1, 50, 100], 4), { lines: [' ▁▄█'], peak: 100, seconds: 4 });
    assert.deepEqual(drawn([0, 1, 50, 100], 4, 1, false).lines, [' .=@']);
    assert.deepEqual(drawn([0, 50, 100], 4, 2).lines, ['   █', '  ██']);
    assert.deepEqual(drawn([0, 0], 2).lines, ['  ']);
    assert.deepEqual(drawn([], 3).lines, ['   ']);
  });

  test('several seconds in a column are the same ones a second later', () => {
    const counts = Array.from({ length: 90 }, (_, index) => (index * 7) % 31);
    const now = sparkline({ counts, lastSecond: 100, width: 30, height: 1, unicode: true });
    const later = sparkline({
      counts: [...counts.slice(1), 0],
      lastSecond: 101,
      width: 30,
      height: 1,
      unicode: true,
    });
    assert.equal(now.lines[0]?.slice(2, -1), later.lines[0]?.slice(2, -1));
  });
});

describe('text on a grid', () => {
  test('cells', () => {
    for (const [word, width] of [
      ['abc', 3],
      ['漢字', 4],
      ['e\u0301', 1],
      ['🐧', 2],
      ['', 0],
    ] as const)
      assert.equal(cells(word), width, word);
    assert.equal(fit('漢字', 3), '漢~');
    assert.equal(fit('漢字x', 4), '漢~ ');
    assert.equal(fit('7', 3, 'right'), '  7');
    assert.equal(cutTo('abcdef', 4), 'abc~');
    assert.equal(cutTo('abc', 0), '');
  });

  test('names are one harmless line', () => {
    assert.equal(safe('a\nb\u001b[31m\u202ec'), 'a\\x0ab\\x1b[31m\\u202ec');
    assert.equal(safe('10.0.0.7 漢'), '10.0.0.7 漢');
  });
});
