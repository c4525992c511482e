/**
 * What a rule is that adds to an image what the image's entries need. Owns the interface and the
 * names that a person may switch off.
 */
import type { Draft } from '../closure.ts';

export const RULES = [
  /** The interpreter and the libraries of programs. */
  'libraries',
  /** What a program says it loads with dlopen. */
  'dlopen',
  /** The same library built for other processors. */
  'hwcaps',
  /** What `#!` names. */
  'scripts',
  'nss',
  'pam',
  /** Mount points. */
  'fstab',
  'gconv',
  /** The source of what Python has compiled. */
  'python',
  /** What kernel modules depend on, and the indexes of modprobe. */
  'modules',
  'firmware',
] as const;

export type RuleName = (typeof RULES)[number];

export interface Rule {
  /** Called once for every entry of the root that comes into the image. */
  offer(draft: Draft): void;
  /** Called whenever nothing new is left: what a rule does last, after which entries may follow. */
  settle?(): void;
}
