/**
 * A recorder that never stops: `node child-writer.ts DB`. Commits batch after batch, each a new
 * session, and writes each session's number on a line once it is committed.
 */
import { writeSync } from 'node:fs';
import { Store } from '../../src/store/store.ts';
import { access, file, opened, T0 } from './fixtures.ts';

const FILES_A_BATCH = 200;

const [path = ''] = process.argv.slice(2);
const store = Store.open({ path });
const rootId = store.ensureRoot(Buffer.from('/nfsroots/sarge'));
const recordingId =
  store.activeRecordings()[0]?.id ??
  store.startRecording({ rootId, label: null, clients: [], tier: 'exact', atUs: T0 });
const next = store.nextIds();
for (let n = 0; ; n += 1) {
  const session = next.session + n;
  const first = next.file + n * FILES_A_BATCH;
  const ids = Array.from({ length: FILES_A_BATCH }, (_, index) => first + index);
  store.ingest({
    atUs: T0 + n,
    opened: [opened({ store, path, rootId, recordingId }, { id: session })],
    files: ids.map((id) => file(id, `usr/lib/file-${id}`)),
    accesses: ids.map((id) => access(session, id)),
  });
  writeSync(1, `${session}\n`);
}
