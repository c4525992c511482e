/**
 * What we use of node:http. With `import` Node evaluates all of its exports, and one of them
 * (WebSocket) loads a whole other HTTP client: 32 ms of a command's 86 ms (Node 24), and memory.
 * Owns that detour.
 */
import { createRequire } from 'node:module';

export const { createServer, request } = createRequire(import.meta.url)(
  'node:http',
) as typeof import('node:http');
