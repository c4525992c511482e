/**
 * What we use of node:crypto. With `import` Node evaluates all of its exports, and one of them loads
 * the whole of Web Cryptography: 5 ms at the start of a command (Node 24). Owns that detour.
 */
import { createRequire } from 'node:module';

export const { createHash, randomBytes } = createRequire(import.meta.url)(
  'node:crypto',
) as typeof import('node:crypto');
