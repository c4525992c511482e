/**
 * What goes over the control socket when somebody gives a session: JSON lines both ways, in one
 * request that lasts as long as the session. Owns the shapes of what is asked, which are checked where
 * they arrive; paths travel as base64.
 *
 * Asked: a {@link openingLine}, any number of {@link rowLine}s, a {@link endLine}. What is answered:
 * given-answers.ts.
 */
import { z } from 'zod';
import { GIVERS, OPERATIONS } from '../common/words.ts';

/** A line that is longer is no line of ours: a path has 4096 bytes at the most. */
export const MOST_LINE = 64 * 1024;

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const bytes = z
  .base64()
  .max(32_768)
  .transform((text): Buffer => Buffer.from(text, 'base64'));

export const openingLine = z.strictObject({
  root: bytes,
  giver: z.enum(GIVERS),
  label: z.string().max(200).nullable(),
});

/** GivenRow of the recording room. */
export const rowLine = z.strictObject({
  path: bytes,
  follow: z.boolean().default(false),
  operations: z
    .number()
    .int()
    .min(0)
    .max(2 ** OPERATIONS.length - 1)
    .default(0),
  count: count.min(1).default(1),
  bytes: count.default(0),
  firstUs: count.nullable().default(null),
  lastUs: count.nullable().default(null),
  created: z.boolean().default(false),
});

export const endLine = z.strictObject({
  end: z.strictObject({
    /** What the giver may have missed. */
    losses: z
      .array(
        z.strictObject({
          where: z.string().regex(/^[a-z][a-z-]{0,39}$/),
          count: count.min(1),
          detail: z.string().max(1000).nullable(),
        }),
      )
      .max(100),
  }),
});
