/** The daemon stands still under load, as on a machine that swaps, or under a debugger; then goes on. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { GANESHA_NEEDS } from '../support/ganesha.ts';
import { Loopback } from '../support/loopback.ts';
import type { NfsClient } from '../support/nfs-client.ts';

interface Shown {
  readonly open: boolean;
  readonly losses: readonly {
    readonly where: string;
    readonly count: number;
    readonly from: string;
    readonly to: string;
  }[];
}

const FILES = 20_000;

describe('a daemon that is held', { skip: lacks(...GANESHA_NEEDS) }, () => {
  let loop: Loopback;
  let client: NfsClient;
  let next = 0;
  const read: string[] = [];
  before(async () => {
    loop = await Loopback.start({ inside: true });
    mkdirSync(`${loop.root}/many`);
    for (let file = 0; file < FILES; file += 1) writeFileSync(`${loop.root}/many/${file}`, 'x');
    await loop.record();
    client = await loop.client(3);
    await client.read('/init');
  });
  after(() => loop.stop());

  /** Files of their own, one after the other, for so long. */
  async function load(ms: number): Promise<void> {
    for (const end = Date.now() + ms; Date.now() < end && next < FILES; next += 1) {
      await client.read(`/many/${next}`);
      read.push(`many/${next}`);
    }
  }

  /** Reads go on before, during and after. */
  async function hold(ms: number): Promise<void> {
    const { child } = loop.daemon;
    const loading = load(ms + 1000);
    await delay(500);
    child.kill('SIGSTOP');
    await delay(ms);
    child.kill('SIGCONT');
    await loading;
    await loop.flush();
  }

  async function allThere(): Promise<void> {
    const files = await loop.files('1');
    const missing = read.filter((path) => !(files.get(path)?.includes('read') ?? false));
    assert.deepEqual(missing.slice(0, 5), [], `${missing.length} of ${read.length}`);
  }

  test('for a moment: nothing is lost, and nothing doubtful', async () => {
    await hold(2000);
    await allThere();
    assert.ok(read.length > 100, `only ${read.length} reads`);
    assert.deepEqual((await loop.sandbox.json<Shown>(['show', '1'])).losses, []);
  });

  test('for so long that who read is doubtful: all is there, and that is said', async () => {
    await hold(11_000);
    await allThere();
    const { losses, open } = await loop.sandbox.json<Shown>(['show', '1']);
    assert.equal(open, true);
    // Of the first flush, and of the next if the sensor's thread goes on later than that one.
    assert.deepEqual([...new Set(losses.map(({ where }) => where))], ['daemon-stall']);
    for (const { count, from, to } of losses) {
      assert.ok(count > 0);
      assert.ok(Date.parse(to) - Date.parse(from) > 10_000, `${from} to ${to}`);
    }
    await load(200);
    await loop.flush();
    await allThere();
    const { sessions } = await loop.sandbox.json<{ sessions: unknown[] }>(['sessions']);
    assert.equal(sessions.length, 1);
  });
});
