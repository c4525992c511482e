/**
 * Clients that come and go for minutes while the daemon is killed and its disk fills: afterwards
 * every session is what an independent trace says, or says where it lost. `scripts/soak` runs it for
 * longer and with more of all; the seed is printed and can be given.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { cp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { operationBit } from '../../src/common/words.ts';
import { Store } from '../../src/store/store.ts';
import { lacks } from '../capabilities.ts';
import { cacheFolder } from './cache.ts';
import { namesByHash, ReferenceRecorder } from './reference-trace.ts';
import { LabServer } from './server.ts';
import { compareSoak, type SoakInput, type SoakLoss } from './soak-compare.ts';
import { Soak, type SoakOptions } from './soak.ts';

/** A test of the suite unless scripts/soak says otherwise. */
const { NFSROOT_TRACE_SOAK: asked } = process.env;
const { minutes, clients, seed, kills } = {
  ...{ minutes: 1.5, clients: 6, seed: Date.now() % 1_000_000, kills: 1 },
  ...(JSON.parse(asked ?? '{}') as Partial<SoakOptions>),
} as Omit<SoakOptions, 'server' | 'say'>;

describe('soak', { skip: lacks('root', 'qemu', 'debootstrap') }, () => {
  const server = new LabServer({ memoryMb: minutes > 3 ? 4096 : 2048 });
  const reference = new ReferenceRecorder(server);

  before(() => server.start());
  after(() => server.stop());

  test(`${clients} clients for ${minutes} minutes: every session is right or says what it lacks`, async (t) => {
    const say = (text: string): void => t.diagnostic(text);
    const soak = new Soak({ server, seed, minutes, clients, kills, say });
    await soak.prepare();
    await reference.start({ follow: true });
    const { boots, outages } = await soak.run();
    const state = await soak.finish();
    const events = await reference.finish();
    const names = await namesByHash(server);
    const recorded = recordedIn(state, await bootedAt(server));
    const { wrong, ...figures } = compareSoak({ boots, events, names, ...recorded });
    for (const { where, from, to } of recorded.losses)
      say(`loss: ${where} from ${from.toFixed(2)} to ${to.toFixed(2)} s`);
    say(
      `${boots.length} boots, ${recorded.sessions.length} sessions, ${figures.exact} of them exact; ` +
        `${events.length} events; ${figures.compared} objects compared: ${figures.equal} equal, ` +
        `${figures.covered} covered by losses, ${figures.uncovered} uncovered, ` +
        `${figures.rescanned} re-scanned`,
    );
    if (wrong.length > 0) {
      const kept = path.join(cacheFolder(), 'soak-failed');
      await rm(kept, { recursive: true, force: true });
      await cp(state, kept, { recursive: true });
      await writeFile(path.join(kept, 'events.json'), JSON.stringify({ boots, events }));
      say(`the recorder's state, the boots and the trace's events are in ${kept}`);
    }
    assert.deepEqual(wrong, [], `seed ${seed}`);
    assert.equal(figures.uncovered, 0);
    assert.equal(outages.length, kills);
    // A session that was open when the daemon was killed is excused, however long it goes on after it.
    assert.ok(figures.equal > figures.compared / 4, 'not all is excused by losses');
  });
});

/** Wall-clock seconds at which the guest's monotonic clock was 0. */
async function bootedAt(server: LabServer): Promise<number> {
  const clocks = 'clock_gettime(CLOCK_REALTIME) - clock_gettime(CLOCK_MONOTONIC)';
  const names = 'qw(clock_gettime CLOCK_REALTIME CLOCK_MONOTONIC)';
  const script = `use Time::HiRes ${names}; printf("%.6f", ${clocks})`;
  return Number(await server.must(`perl -e '${script}'`));
}

/** What the recorder's state holds, on the guest's monotonic clock, which is 0 at `zero`. */
function recordedIn(state: string, zero: number): Pick<SoakInput, 'sessions' | 'losses'> {
  const store = Store.open({ path: path.join(state, 'trace.db'), readOnly: true });
  const seconds = (us: number): number => us / 1e6 - zero;
  const losses = (filter?: { readonly sessionId: number }): SoakLoss[] =>
    store.losses(filter).map(({ where, fromUs, toUs }) => ({
      ...{ where, from: seconds(fromUs), to: seconds(toUs) },
    }));
  try {
    const sessions = store
      .sessions({})
      .map(({ id, client, openedUs, partial, evidence, notes }) => ({
        ...{ name: `session-${id}`, client, opened: seconds(openedUs), partial },
        remarks: [
          evidence.kind,
          ...notes.map(
            ({ kind, atUs, detail }) => `${kind} at ${seconds(atUs).toFixed(2)}: ${detail}`,
          ),
        ].join('; '),
        losses: losses({ sessionId: id }),
        objects: store.files(id).map(({ names, bytes, operations, evidence }) => ({
          names: names.map((name) => name.toString('latin1')),
          bytes,
          read: (operations & operationBit('read')) !== 0,
          readlink: (operations & operationBit('readlink')) !== 0,
          weak: evidence.every((one) => one === 'atime'),
        })),
      }));
    return { sessions, losses: losses() };
  } finally {
    store.close();
  }
}
