/**
 * The report as JSON (docs/json.md). Owns that shape.
 */
import { jsonPath } from '../../common/bytes.ts';
import type { Owner, Weight } from '../../image/sizes/weigh.ts';
import type { SizeReport } from './size-report.ts';

export function jsonReport({ sizes, ...head }: SizeReport): Buffer {
  const { total, directories, packages, reasons, drops, unread } = sizes;
  const value = {
    report: 1,
    program: 'nfsroot-trace',
    version: head.version,
    expression: head.expression,
    sessions: head.sessions,
    format: head.format,
    compression: head.compression,
    bytes: head.bytes,
    total: weight(total),
    directories: directories.map((one) => ({ ...jsonPath(one.path), ...weight(one) })),
    packages: packages.map((one) => ({ ...owner(one.owner), ...weight(one) })),
    reasons: reasons.map((one) => ({ reason: one.kind, ...weight(one) })),
    drops: drops.map((one) => ({
      ...jsonPath(one.path),
      evidence: one.grade,
      size: one.size,
      bytes_read: one.bytesRead,
      unread_bytes: one.unreadBytes,
    })),
    unread: unread.map(({ path, why }) => ({ ...jsonPath(Buffer.from(path, 'latin1')), why })),
  };
  return Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
}

function weight({ entries, contentBytes, archiveBytes }: Weight) {
  return { entries, content_bytes: contentBytes, archive_bytes: archiveBytes };
}

function owner(one: Owner) {
  if (typeof one === 'string') return { owner: one, package: null };
  const { kind, name, version, architecture } = one;
  return { owner: 'package', package: { kind, name, version, architecture } };
}
