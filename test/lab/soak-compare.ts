/**
 * Holds what a soak left in the database against the independent trace of the same time. A session
 * is the events of its client from its opening to the next session's, object by object: it may lack
 * only what happened within a loss of its own, or before it opened within a loss of its recording,
 * and it holds nothing else. Each boot has its session, unless it began within a loss.
 * Owns what counts as explained. Pure.
 */
import type { SoakBoot } from './soak.ts';
import type { ReferenceEvent } from './reference-events.ts';

/** Times are seconds of the guest's monotonic clock, as everywhere here. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export type SoakLoss = Span & { readonly where: string };

/** An object as a session has it. */
export interface SoakObject {
  readonly names: readonly string[];
  readonly bytes: number;
  readonly read: boolean;
  readonly readlink: boolean;
  /** Known by its access time alone. */
  readonly weak: boolean;
}

export interface SoakSession {
  readonly name: string;
  readonly client: string;
  readonly opened: number;
  readonly partial: boolean;
  /** What it says of itself, for a person who has to find out why it is wrong. */
  readonly remarks: string;
  readonly losses: readonly SoakLoss[];
  readonly objects: readonly SoakObject[];
}

export interface SoakInput {
  readonly boots: readonly SoakBoot[];
  readonly events: readonly ReferenceEvent[];
  /** Names of the root's objects by handle hash. */
  readonly names: ReadonlyMap<number, readonly Buffer[]>;
  readonly sessions: readonly SoakSession[];
  /** Of the recording. */
  readonly losses: readonly SoakLoss[];
}

export interface SoakVerdict {
  /** What is wrong, for a person; empty if all is explained. */
  readonly wrong: readonly string[];
  /** Objects of the trace, each once a session (or a boot that has none). */
  readonly compared: number;
  readonly equal: number;
  /** Objects that differ, and a loss says why. */
  readonly covered: number;
  readonly uncovered: number;
  /** Objects that a session has by their access times alone. */
  readonly rescanned: number;
  /** Sessions that say the very same as the trace. */
  readonly exact: number;
}

/** The clocks of the trace and of the database are read one after the other to be compared. */
const SLACK = 0.05;
/** NFSv4 pseudo root: no object of the root under test. */
const PSEUDO_ROOT = 0x62d40c52;
/**
 * Places that can lose what a client of the kernel's server did. The others lose file events and
 * names, which say nothing of it.
 */
const OF_ACCESSES = new Set([
  ...['trace-ring', 'trace-table', 'trace-cpu', 'trace-join', 'trace-handle', 'trace-probe'],
  ...['attribution', 'writer', 'refused-batch', 'daemon-restart', 'root-absent', 'session-limit'],
]);

/** What a client did to an object: all of it, and what no loss can have hidden. */
interface Use {
  readonly name: string;
  readonly times: number[];
  readonly all: Done;
  readonly certain: Done;
}

interface Done {
  count: number;
  bytes: number;
  read: boolean;
  readlink: boolean;
}

export function compareSoak(input: SoakInput): SoakVerdict {
  const { boots, events, names, sessions } = input;
  const hiding = input.losses.filter(({ where }) => OF_ACCESSES.has(where));
  const wrong: string[] = [];
  const count = { compared: 0, equal: 0, covered: 0, uncovered: 0, rescanned: 0, exact: 0 };
  const hashes = new Map(
    [...names].flatMap(([hash, all]) => all.map((name) => [name.toString('latin1'), hash])),
  );
  const nameOf = (hash: number): string =>
    names.get(hash)?.[0]?.toString('latin1') ?? `(handle ${hash.toString(16)})`;

  /** Judges the events that belong to one session, or to none. */
  const judge = (whose: string, used: readonly ReferenceEvent[], session: SoakSession | null) => {
    const uses = usesOf(used, session, hiding, nameOf);
    const found = new Map<number, SoakObject>();
    let bad = 0;
    const say = (text: string): void => {
      bad++;
      if (bad <= 5) wrong.push(`${whose}: ${text}`);
    };
    for (const object of session?.objects ?? []) {
      const hash = object.names.map((name) => hashes.get(name)).find((one) => one !== undefined);
      if (hash === undefined || !uses.has(hash))
        say(`has what ${session?.client ?? ''} did not use: ${object.names[0] ?? '(no name)'}`);
      else found.set(hash, object);
      if (object.weak) count.rescanned++;
    }
    let same = bad === 0;
    for (const [hash, use] of uses) {
      count.compared++;
      const object = found.get(hash);
      if (object !== undefined && equal(object, use.all)) count.equal++;
      else if (between(object, use)) count.covered++;
      else {
        count.uncovered++;
        const times = use.times.map((time) => time.toFixed(2)).join(' ');
        say(`${use.name} is ${tell(object)}, the trace has ${tell(use.all)} at ${times}`);
      }
      same &&= object !== undefined && equal(object, use.all);
    }
    if (bad > 5) wrong.push(`${whose}: and ${bad - 5} more`);
    if (same && session !== null) count.exact++;
  };

  const eventsOf = Map.groupBy(
    events.filter(({ hash }) => hash !== PSEUDO_ROOT),
    ({ client }) => client,
  );
  const sessionsOf = Map.groupBy(sessions, ({ client }) => client);
  const bootsOf = Map.groupBy(boots, ({ client }) => client);
  for (const client of new Set([...eventsOf.keys(), ...sessionsOf.keys()])) {
    const own = (sessionsOf.get(client) ?? []).toSorted((a, b) => a.opened - b.opened);
    const used = new Map<SoakSession | null, ReferenceEvent[]>();
    let carrier: SoakSession | null = null;
    const unknown = new Set([own, eventsOf.get(client) ?? []].flat());
    for (const boot of (bootsOf.get(client) ?? []).toSorted((a, b) => a.from - b.from)) {
      const during = (eventsOf.get(client) ?? []).filter(({ time }) => within(time, boot));
      const begun = own.filter(({ opened }) => within(opened, boot));
      for (const one of [...during, ...begun]) unknown.delete(one);
      const [first] = during;
      const [session] = begun;
      if (begun.length > 1)
        wrong.push(`${bootText(boot)}: ${begun.map(({ name }) => name).join(' and ')}`);
      // Of a mount, the marker comes before the first access to the root.
      const hidden =
        first !== undefined && hiding.some((loss) => overlap(loss, { ...boot, to: first.time }));
      if (first !== undefined && session === undefined && !hidden)
        wrong.push(
          `${bootText(boot)}: no session began, and no loss has its beginning up to the first use at ` +
            `${first.time.toFixed(2)}; before it ${carrier?.name ?? 'none'} ${carrier?.remarks ?? ''}`,
        );
      const late =
        session !== undefined && first !== undefined && session.opened > first.time + SLACK;
      if (late && !session.partial)
        wrong.push(`${bootText(boot)}: ${session.name} began late, and is not partial`);
      // A boot that nobody saw may look like more of the one before it.
      carrier = session ?? carrier;
      used.set(carrier, [...(used.get(carrier) ?? []), ...during]);
    }
    for (const one of unknown)
      wrong.push(
        'name' in one
          ? `${one.name} of ${client} began at ${one.opened.toFixed(2)}, when it was off`
          : `${client} did something at ${one.time.toFixed(2)}, when it was off`,
      );
    for (const session of own) judge(session.name, used.get(session) ?? [], session);
    judge(`${client} without a session`, used.get(null) ?? [], null);
  }
  return { wrong, ...count };
}

function usesOf(
  used: readonly ReferenceEvent[],
  session: SoakSession | null,
  hiding: readonly SoakLoss[],
  nameOf: (hash: number) => string,
): ReadonlyMap<number, Use> {
  const own = session?.losses.filter(({ where }) => OF_ACCESSES.has(where)) ?? [];
  const uses = new Map<number, Use>();
  for (const { hash, time, kind, bytes } of used) {
    const use = uses.get(hash) ?? { name: nameOf(hash), times: [], all: none(), certain: none() };
    uses.set(hash, use);
    use.times.push(time);
    // What came before the session is not in it, whatever it says of the time after.
    const early = session === null || time < session.opened - SLACK;
    const lost = (early ? hiding : own).some((loss) => within(time, loss));
    for (const done of lost ? [use.all] : [use.all, use.certain]) {
      done.count++;
      done.bytes += bytes;
      done.read ||= kind === 'read' || kind === 'open';
      done.readlink ||= kind === 'readlink';
    }
  }
  return uses;
}

function none(): Done {
  return { count: 0, bytes: 0, read: false, readlink: false };
}

function equal(object: SoakObject, { bytes, read, readlink }: Done): boolean {
  return object.bytes === bytes && object.read === read && object.readlink === readlink;
}

/** Has it all that is certain, and nothing that was not? */
function between(object: SoakObject | undefined, { all, certain }: Use): boolean {
  if (object === undefined) return certain.count === 0;
  // All of it was seen, so nothing may differ.
  if (certain.count === all.count) return false;
  return (
    object.bytes >= certain.bytes &&
    object.bytes <= all.bytes &&
    (object.read || !certain.read) &&
    (all.read || !object.read) &&
    (object.readlink || !certain.readlink) &&
    (all.readlink || !object.readlink)
  );
}

function overlap(a: Span, b: Span): boolean {
  return a.from <= b.to + SLACK && b.from <= a.to + SLACK;
}

function within(time: number, span: Span): boolean {
  return time >= span.from - SLACK && time <= span.to + SLACK;
}

function tell(done: Pick<Done, 'bytes' | 'read' | 'readlink'> | undefined): string {
  if (done === undefined) return 'not there';
  const words = [...(done.read ? ['read'] : []), ...(done.readlink ? ['readlink'] : [])];
  return [...words, `${done.bytes} bytes`].join(', ');
}

function bootText({ client, version, from, to }: SoakBoot): string {
  return `${client} over NFSv${version}, ${from.toFixed(2)} to ${to.toFixed(2)} s`;
}
