/** Who connects to the control socket and does not say what it wants is not waited for for ever. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { ControlServer, type ControlService } from '../../src/daemon/control-server.ts';
import { GIVEN_ROUTE } from '../../src/daemon/given-answers.ts';
import { takeGiven } from '../../src/daemon/given-stream.ts';
import type { GivenSessions } from '../../src/recording/given-sessions.ts';

const PATIENCE_MS = 300;

describe('the control socket waits', () => {
  const folder = mkdtempSync(join(tmpdir(), 'askers-'));
  const socket = join(folder, 'socket');
  const server = new ControlServer({
    socket,
    ending: new AbortController().signal,
    patience: { headMs: PATIENCE_MS, openingMs: PATIENCE_MS },
  });
  const ended: string[] = [];
  const given = {
    begin: () => Promise.resolve(1),
    has: () => true,
    end: (_: number, { broken }: { broken: string }) => {
      ended.push(broken);
      return Promise.reject(new RangeError('a bug'));
    },
  } as unknown as GivenSessions;
  before(() =>
    server.start({ give: (stream) => takeGiven({ ...stream, given }) } as ControlService),
  );
  after(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });

  const say = (...words: string[]): Socket => {
    const asker = connect(socket);
    asker.on('error', () => undefined);
    asker.write(words.join(''));
    return asker.resume();
  };
  const post = `POST ${GIVEN_ROUTE} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n`;
  const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
  const opening = { root: Buffer.from(folder).toString('base64'), giver: 'import', label: null };
  const cutOff = async (asker: Socket): Promise<void> => {
    const signal = AbortSignal.timeout(20 * PATIENCE_MS);
    await once(asker, 'close', { signal });
  };

  for (const [what, words] of [
    ['a head', ['']],
    ['the rest of a head', [post]],
    ['the first line of a session', [post, '\r\n', chunk('{"root":')]],
    ['a body where none is wanted', [post, 'Content-Type: application/json\r\n\r\n', chunk('{')]],
  ] as const)
    test(`for ${what}, but not for ever`, () => cutOff(say(...words)));

  test('for a session as long as it is given; its giver hears how it ended', async () => {
    const asker = say(post, '\r\n', chunk(`${JSON.stringify(opening)}\n`));
    let answer = '';
    asker.on('data', (part: Buffer) => (answer += part.toString()));
    await delay(4 * PATIENCE_MS);
    assert.ok(!asker.destroyed);
    assert.match(answer, /"session":"session-1"/);
    asker.write(chunk('no JSON\n'));
    while (!answer.includes('error')) await once(asker, 'data');
    assert.match(answer, /a bug/);
    assert.equal(ended.length, 1);
    asker.destroy();
  });
});
