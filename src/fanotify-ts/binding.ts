/**
 * Loads the native addon. Owns the one `require` of it; each face in this folder declares the
 * native classes that it wraps and takes them from here.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** The file that it is in. */
export const ADDON = join(import.meta.dirname, '../../build/Release/nfsroot_trace.node');

/** The addon's exports as they are; each face narrows what it uses. */
export const addon = createRequire(import.meta.url)(ADDON) as Readonly<Record<string, unknown>>;
