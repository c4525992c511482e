/** Builds whatever the lab's machines are made of and is not in the cache yet, and starts nothing. */
import { ensureArtifacts } from './artifacts.ts';

await ensureArtifacts((text) => process.stdout.write(`${text}\n`));
