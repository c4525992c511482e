/**
 * Where a session is given over the control socket, and what is answered: a {@link BegunBody} as soon
 * as the session is open, an {@link EndedBody} at the end, or an ErrorBody. Owns these shapes, apart
 * from those of given-api.ts: a command that gives nothing must not load what checks them.
 */
import type { GivenCounts } from '../recording/given-types.ts';

export const GIVEN_ROUTE = '/v1/given-sessions';

export interface BegunBody {
  readonly session: string;
}

export interface EndedBody {
  readonly ended: GivenCounts;
}
