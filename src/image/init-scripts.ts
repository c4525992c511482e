/**
 * The generated inits: their text, and which programs of the root they run. Owns how a script is
 * put together from the parts in `inits/`. Must not know trees or plans.
 */
import { readFileSync } from 'node:fs';
import type { InitKind } from './choices.ts';

export type GeneratedInit = Exclude<InitKind, 'own'>;

/** In the sources also for what was compiled: a compiler of TypeScript leaves shell scripts where they are. */
const FOLDER = new URL('../../src/image/inits/', import.meta.url);

const PARTS: Readonly<Record<GeneratedInit, readonly string[]>> = {
  exec: ['common', 'exec'],
  rambox: ['common', 'root', 'rambox'],
  preboot: ['common', 'root', 'preboot'],
};

/** All files that a generated /init is made of. */
export const INIT_FILES: readonly URL[] = [...new Set(Object.values(PARTS).flat())].map(partFile);

/** The text of /init. */
export function initScript(kind: GeneratedInit): Buffer {
  const head = `#!/bin/sh\n# /init of this image, made by nfsroot-trace: --init ${kind}\n\n`;
  const parts = PARTS[kind].map((part) => readFileSync(partFile(part)));
  return Buffer.concat([Buffer.from(head), ...parts]);
}

function partFile(part: string): URL {
  return new URL(`${part}.sh`, FOLDER);
}

export interface Programs {
  /** It cannot do its work without these. */
  readonly needed: readonly string[];
  /** It does without, or something else does their work. */
  readonly useful: readonly string[];
}

const NEW_ROOT = ['switch_root', 'readlink', 'sleep'];

export const INIT_PROGRAMS: Readonly<Record<GeneratedInit, Programs>> = {
  exec: { needed: ['mount', 'mkdir'], useful: ['ln'] },
  rambox: { needed: ['mount', 'mkdir', ...NEW_ROOT], useful: ['ln'] },
  preboot: { needed: ['mount', 'mkdir', ...NEW_ROOT], useful: ['ln'] },
};

/** Where the scripts look, in their order; relative to the root. */
export const PROGRAM_FOLDERS = [
  'usr/local/sbin',
  'usr/local/bin',
  'usr/sbin',
  'usr/bin',
  'sbin',
  'bin',
] as const;
