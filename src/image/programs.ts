/**
 * Programs of the root by their name, as a shell of the root would find them. Owns the search and
 * how a program comes into an image. Must not know what it is wanted for.
 */
import type { Closure, DraftReason } from './closure.ts';
import { PROGRAM_FOLDERS } from './init-scripts.ts';
import type { Resolution, Resolver } from './resolve.ts';

export interface Program {
  /** Links followed. */
  readonly path: string;
  readonly through: readonly string[];
}

/** A program by its bare name; null if the root has none. */
export function findProgram(name: string, resolver: Resolver): Program | null {
  for (const folder of PROGRAM_FOLDERS) {
    const found = executableAt(`${folder}/${name}`, resolver);
    if (found !== null) return found;
  }
  return null;
}

/** What is at a path, if it is a file that may be executed. */
export function executableAt(path: string, resolver: Resolver): Program | null {
  const found: Resolution = resolver.resolve('', path, true);
  if (found.path === null) return null;
  const stat = resolver.lstat(found.path);
  if (stat?.type !== 'file' || (stat.mode & 0o111) === 0) return null;
  return { path: found.path, through: found.through };
}

/** Puts a program and the links on the way to it into the image. */
export function addProgram({ path, through }: Program, closure: Closure): void {
  const reason: DraftReason = { kind: 'init', about: null };
  for (const link of through) closure.add(link, reason);
  closure.add(path, reason);
}
