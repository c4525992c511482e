/**
 * Does the NFS server sign the file handles of an export (`sign_fh`, Linux 7.2)? Then no hash of
 * theirs can be computed here. Owns that one look.
 */
import { readFileSync } from 'node:fs';

/** Exports in use, with their options in parentheses. */
const EXPORTS = '/proc/net/rpc/nfsd.export/content';

export function signsHandles(content: string): boolean {
  return content.split('\n').some((line) => !line.startsWith('#') && /[(,]sign_fh[,)]/.test(line));
}

/** False also where there is no NFS server to ask. */
export function handlesAreSigned(): boolean {
  try {
    return signsHandles(readFileSync(EXPORTS, 'latin1'));
  } catch {
    return false;
  }
}
