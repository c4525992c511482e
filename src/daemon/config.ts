/**
 * The daemon's configuration: a JSON file, every key optional, every unknown key an error.
 * Owns the defaults.
 */
import { z } from 'zod';
import { TraceError } from '../common/errors.ts';
import { TIERS } from '../common/words.ts';
import { readConfigFile } from './config-file.ts';
import { DEFAULT_PLACES, SOCKET_VARIABLE, STATE_DIR_VARIABLE } from './places.ts';

const schema = z.strictObject({
  /** Folder of the database and the log. */
  stateDir: z.string().startsWith('/').default(DEFAULT_PLACES.stateDir),
  /** Unix socket that the command line talks to. */
  socket: z.string().startsWith('/').default(DEFAULT_PLACES.socket),
  /** Time between two commits, milliseconds. */
  flushMs: z.number().int().min(50).max(60_000).default(1000),
  /** Silence after which a session ends, minutes. */
  quietMinutes: z.number().positive().default(15),
  /** Ring for each processor for the kernel's NFS trace, bytes: a power of two, 4096 or more. */
  traceRingBytes: z
    .number()
    .refine((bytes) => bytes >= 4096 && Number.isInteger(Math.log2(bytes)), 'is no power of two')
    .optional(),
  /** No better tier than this, whatever the kernel has. */
  bestTier: z.enum(TIERS).default('exact+names'),
  /** File handles from a kprobe event also where the kernel has nfsd_fh_verify. */
  preferKprobe: z.boolean().default(false),
  /** Ask for the names of clients' addresses. */
  reverseLookup: z.boolean().default(false),
  /**
   * The kernel's queue for file events: `unlimited`, or `limited` to the kernel's own
   * (fs.fanotify.max_queued_events); what does not fit there is counted as loss.
   */
  fileQueue: z.enum(['unlimited', 'limited']).default('unlimited'),
  /** Memory for what the database does not take, MiB; what is over is counted as loss. */
  pendingMb: z.number().int().min(1).max(65_536).default(64),
  /** Folder of kept content; `content` in the state folder by default. */
  contentDir: z.string().startsWith('/').optional(),
  /** Kept content is never more than this, MiB. */
  contentMaxMb: z.number().int().min(1).max(1_000_000_000).default(10_240),
  /** Names (`comm`) of NFS servers of user space. */
  serverNames: z.array(z.string().min(1).max(15)).default(['ganesha.nfsd', 'unfsd']),
  /** TCP ports of NFS servers of user space, to see which clients are connected. */
  serverPorts: z.array(z.number().int().min(1).max(65_535)).default([2049]),
});

export type Config = Readonly<z.infer<typeof schema>>;

/** The configuration from a file; without one, the defaults. Environment variables win over it. */
export function loadConfig(path: string | undefined, env: NodeJS.ProcessEnv): Config {
  const values: Record<string, unknown> = path === undefined ? {} : readConfigFile(path);
  for (const [key, variable] of [
    ['stateDir', STATE_DIR_VARIABLE],
    ['socket', SOCKET_VARIABLE],
  ] as const)
    if (env[variable] !== undefined) values[key] = env[variable];
  const result = schema.safeParse(values);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new TraceError({
    code: 'bad-config',
    message: `${path ?? 'the environment'}: ${issue?.path.join('.') || 'configuration'}: ${issue?.message ?? 'is not valid'}`,
    hint: `known keys: ${Object.keys(schema.shape).join(', ')}`,
    exit: 'config',
  });
}
