/** What a check of an image finds, and what it is given to look at. Owns the shapes only. */
import type { RootFiles } from '../../needs/root-files.ts';
import type { Resolver } from '../../resolve.ts';
import type { OpenImage } from '../image-tree.ts';

export interface Fault {
  /** `fault`: something does not work, or gives a secret away. `note`: for a person to judge. */
  readonly kind: 'fault' | 'note';
  readonly code: string;
  /** A byte string; null where it is about the whole. */
  readonly path: string | null;
  readonly message: string;
}

export interface Linted {
  readonly image: OpenImage;
  readonly resolver: Resolver;
  readonly files: RootFiles;
}

export const fault = (code: string, path: string | null, message: string): Fault => ({
  kind: 'fault',
  code,
  path,
  message,
});
export const note = (code: string, path: string | null, message: string): Fault => ({
  kind: 'note',
  code,
  path,
  message,
});
