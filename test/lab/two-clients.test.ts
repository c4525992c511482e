/** Two machines that boot at the same time from one root are two sessions, each with its own files. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { compare } from './compare.ts';
import { namesOf, Product, type Session } from './product.ts';
import { namesByHash, ReferenceRecorder } from './reference-trace.ts';
import { LabServer } from './server.ts';
import { Victim } from './victim.ts';

describe('two clients', { skip: lacks('root', 'qemu', 'debootstrap') }, () => {
  const server = new LabServer();
  const product = new Product(server);
  const reference = new ReferenceRecorder(server);

  before(async () => {
    await server.start();
    await product.start();
    await reference.start();
  });
  after(() => server.stop());

  test('each has a session of its own, with what it alone ran and nothing of the other', async () => {
    const first = new Victim({ server, version: '3', port: 0 });
    const second = new Victim({ server, version: '4.2', port: 1 });
    const victims = [first, second];
    try {
      await Promise.all(victims.map((victim) => victim.start()));
      await Promise.all([first.must('only-first'), second.must('only-second')]);
    } finally {
      await Promise.all(victims.map((victim) => victim.powerOff()));
    }

    await product.settle();
    const trace = await reference.take();
    const names = await namesByHash(server);
    const ran: string[][] = [];
    for (const victim of victims) {
      const sessions = await product.sessionsOf(victim.address);
      assert.equal(sessions.length, 1, victim.address);
      const session = sessions[0] as Session;
      assert.equal(session.loss, 0);
      assert.equal(session.partial, false);
      const files = await product.files(session);
      const seen = trace.get(victim.address);
      assert.ok(seen !== undefined);
      const { missing, unresolved, extra, different } = compare(files, seen, names);
      assert.deepEqual(
        { missing, unresolved, extra, different },
        { missing: [], unresolved: [], extra: [], different: [] },
      );
      ran.push(files.flatMap(namesOf).filter((name) => name.startsWith('usr/local/bin/only-')));
    }
    assert.deepEqual(ran, [['usr/local/bin/only-first'], ['usr/local/bin/only-second']]);
    assert.equal((await product.sessions()).length, 2);
  });
});
