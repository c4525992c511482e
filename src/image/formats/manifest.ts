/**
 * A manifest: what is in an image, with hashes and reasons, as JSON. Owns its shape (docs/json.md).
 * Nothing of when or where it was made is in it, so that the same image has the same manifest.
 */
import { jsonPath } from '../../common/bytes.ts';
import type { ArchiveWindow } from '../../fanotify-ts/archive-window.ts';
import type { PlanEntry, SeenBy } from '../plan-types.ts';
import { fromBytes } from '../resolve.ts';
import { dataHolders, hashFiles } from './hash-files.ts';

/** Where an image is from. */
export interface ImageOrigin {
  readonly expression: string;
  readonly sessions: readonly string[];
  /** Of this program. */
  readonly version: string;
  /** Who used what, by path; of a manifest. */
  readonly seenBy?: ReadonlyMap<string, SeenBy> | undefined;
}

export interface ManifestOptions {
  readonly entries: readonly PlanEntry[];
  readonly window: Pick<ArchiveWindow, 'read'>;
  readonly origin: ImageOrigin | null;
}

/** One entry a line. Reads every file, each once, and throws as the window does. */
export async function* formatManifest(options: ManifestOptions): AsyncGenerator<Buffer> {
  const { entries, origin } = options;
  // First of all, because a name without data tells the hash of a later one.
  const hashOf = await hashFiles(options);
  const data = dataHolders(entries);
  const head = {
    manifest: 1,
    program: 'nfsroot-trace',
    version: origin?.version ?? null,
    expression: origin?.expression ?? null,
    sessions: origin?.sessions ?? [],
  };
  yield Buffer.from(`${JSON.stringify(head).slice(0, -1)},"entries":[\n`);
  for (const [index, entry] of entries.entries()) {
    const { sessions = [], evidence = [] } = origin?.seenBy?.get(fromBytes(entry.path)) ?? {};
    const source = entry.carriesData ? entry : (data.get(entry.inode) ?? entry);
    const line = JSON.stringify({
      ...jsonPath(entry.path),
      type: entry.type,
      mode: entry.mode.toString(8).padStart(4, '0'),
      uid: entry.uid,
      gid: entry.gid,
      size: entry.size,
      mtime: entry.mtime,
      sha256: entry.type === 'file' ? hashOf(entry) : null,
      target: entry.target === null ? null : jsonPath(entry.target),
      device:
        entry.type === 'character' || entry.type === 'block'
          ? { major: entry.rdevMajor, minor: entry.rdevMinor }
          : null,
      hard_link: source === entry ? null : jsonPath(source.path),
      reasons: entry.reasons.map(({ kind, about }) => ({
        kind,
        about: about === null ? null : jsonPath(about),
      })),
      sessions: sessions.map((id) => `session-${id}`),
      evidence,
    });
    yield Buffer.from(index + 1 < entries.length ? `${line},\n` : `${line}\n`);
  }
  yield Buffer.from(']}\n');
}
