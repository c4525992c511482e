/**
 * Clients on the wire: which address a person means, what the client is called, and who has an open
 * session. Owns those rules' errors.
 */
import { parseAddress, spelledAddress } from '../common/addresses.ts';
import type { OpenSession } from '../common/boots.ts';
import { TraceError } from '../common/errors.ts';
import { soundLabel } from '../common/labels.ts';
import type { Store } from '../store/store.ts';
import type { LabelBody, StatusBody } from './api.ts';

const MOST_LABELS = 65_536;
/** Clients that a status names. */
const MOST_CLIENTS = 1000;

/** @throws TraceError `bad-client` */
export function oneClient(text: string): string {
  if (parseAddress(text) !== null) return spelledAddress(text);
  throw new TraceError({
    code: 'bad-client',
    message: `'${text}' is not one client`,
    hint: 'write its address, like 10.0.0.7',
    exit: 'usage',
  });
}

/** @throws TraceError `bad-client`, `bad-label`, `label-taken`, `too-many-labels` */
export function labelClient(store: Store, client: string, label: string | null): LabelBody {
  const address = oneClient(client);
  const wanted = label === null ? null : soundLabel(label);
  if (wanted !== null && store.labels() >= MOST_LABELS)
    throw new TraceError({
      code: 'too-many-labels',
      message: `there are ${MOST_LABELS} labels already`,
      hint: 'take some away: `trace client label ADDRESS --remove`',
      exit: 'failed',
    });
  const { takenBy } = store.setLabel(address, wanted);
  if (takenBy !== null)
    throw new TraceError({
      code: 'label-taken',
      message: `${takenBy} has this label`,
      hint: 'a label is one client; take another, or remove it there first',
      exit: 'failed',
    });
  return { client: address, label: wanted };
}

/** Clients with an open session, by address. */
export function clientsOf(open: readonly OpenSession[], store: Store): StatusBody['clients'] {
  const sessions = new Map<string, number[]>();
  for (const { id, client } of open) sessions.set(client, [...(sessions.get(client) ?? []), id]);
  return [...sessions]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, MOST_CLIENTS)
    .map(([client, ids]) => ({
      client,
      ...store.called(client),
      sessions: ids.map((id) => `session-${id}`),
    }));
}
