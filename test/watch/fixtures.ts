/** Looks at a daemon that nobody started. */
import type { WatchBody, WatchedSession } from '../../src/daemon/api.ts';
import { firstView, nextView, type View } from '../../src/cli/watch/view.ts';

export const AT = '2026-01-31T12:00:40.000Z';

export function session(id: number, fields: Partial<WatchedSession> = {}): WatchedSession {
  return {
    session: `session-${id}`,
    client: `10.0.0.${id}`,
    client_label: null,
    client_name: null,
    recording: 7,
    partial: false,
    opened: '2026-01-31T12:00:03.000Z',
    last: AT,
    files: 554,
    accesses: 8107,
    bytes: 48_700_000,
    image_bytes: 48_600_000,
    loss: 0,
    ...fields,
  };
}

export function body(fields: Partial<WatchBody> = {}): WatchBody {
  const sessions = fields.sessions ?? [session(7)];
  return {
    at: AT,
    feed: 'one',
    status: {
      pid: 4711,
      version: '0.1.0',
      database: '/var/lib/nfsroot-trace/trace.db',
      tier: 'exact',
      nfsd: { state: 'running', events: 81_237, lost: 0 },
      fanotify: { events: 2210, filtered: 140_022, lost: 0 },
      unresolved: 0,
      recordings: [
        {
          root: { path: '/nfsroots/sarge' },
          recording: 7,
          label: 'new kernel',
          objects: 11_482,
          walking: false,
          waiting: null,
          since: '2026-01-31T12:00:00.000Z',
        },
      ],
      warnings: [],
      content: { waiting: 0, kept: 0, failed: 0, last_failure: null },
      sessions_open: sessions.length,
      dropped: { accesses: 0, evidence: 0, identities: 0, boots: 0 },
      last_commit: AT,
      failure: null,
      uncommitted: 0,
    },
    clients: sessions.length,
    open_sessions: sessions.length,
    uncounted: 0,
    total: {
      files: sessions.reduce((sum, { files }) => sum + files, 0),
      accesses: 8107,
      bytes: 48_700_000,
      loss: sessions.reduce((sum, { loss }) => sum + loss, 0),
    },
    seen: { files: 100, accesses: 1000, bytes: 1_000_000, loss: 0 },
    new_files: Array.from({ length: 300 }, (_, second) =>
      second < 260 ? 0 : Math.round(310 * 0.8 ** (second - 260)),
    ),
    sessions,
    ...fields,
  };
}

/** A view with something to compare with: two looks, a second apart. */
export function view(fields: Partial<WatchBody> = {}): View {
  const now = body(fields);
  const before = body({
    ...fields,
    seen: { files: 88, accesses: 690, bytes: 0, loss: 0 },
    status: {
      ...now.status,
      nfsd: { ...now.status.nfsd, events: now.status.nfsd.events - 1200 },
    },
    sessions: now.sessions.map((one) => ({ ...one, files: one.files - 12 })),
  });
  return nextView(firstView(before), now, 1000);
}
