/** The small rooms about clients: addresses, filters, zones, names, renewals, steps of the clock. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { NetworkInterfaceInfo } from 'node:os';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Zones } from '../../src/capture/zones.ts';
import { parseAddress, spelledAddress } from '../../src/common/addresses.ts';
import { soundLabel } from '../../src/common/labels.ts';
import { BatchBuilder } from '../../src/recording/batch-builder.ts';
import { ClientFilter } from '../../src/recording/client-filter.ts';
import { ClientNames } from '../../src/recording/client-names.ts';
import { Nfs4Renewals, renewalOf } from '../../src/recording/nfs4-renewals.ts';

describe('an address has one spelling', () => {
  for (const [text, spelled] of [
    ['10.0.0.7', '10.0.0.7'],
    ['2001:DB8:0:0:0:0:0:7', '2001:db8::7'],
    ['::ffff:10.0.0.7', '10.0.0.7'],
    ['::FFFF:a00:7', '10.0.0.7'],
    ['fe80::7%eth0', 'fe80::7%eth0'],
    ['FE80:0::7%3', 'fe80::7%3'],
    ['rack1-07', 'rack1-07'],
  ] as const)
    test(text, () => assert.equal(spelledAddress(text), spelled));
  test('what is none', () => {
    for (const text of ['', '10.0.0', '10.0.0.7/24', ':::', '[::1]', 'a b'])
      assert.equal(parseAddress(text), null);
  });
});

describe('ClientFilter', () => {
  const accepted = (rule: string, ...clients: string[]): string[] =>
    clients.filter((client) => new ClientFilter([rule]).accepts(client));

  test('IPv6 ranges', () => {
    const clients = ['2001:db8::7', '2001:db8:0:1::7', '10.0.0.7', ''];
    assert.deepEqual(accepted('2001:db8::/64', ...clients), ['2001:db8::7']);
    assert.deepEqual(accepted('::/0', ...clients), clients.slice(0, 2));
  });

  test('mapped addresses and ranges are those of IPv4', () => {
    const clients = ['10.0.0.7', '10.0.1.7', '11.0.0.7'];
    assert.deepEqual(accepted('::ffff:10.0.0.7', ...clients), ['10.0.0.7']);
    assert.deepEqual(accepted('::ffff:10.0.0.0/120', ...clients), ['10.0.0.7']);
    assert.deepEqual(accepted('::ffff:10.0.0.0/104', ...clients), ['10.0.0.7', '10.0.1.7']);
    assert.deepEqual(accepted('::ffff:0.0.0.0/96', ...clients), clients);
    assert.deepEqual(accepted('10.0.0.0/24', '::ffff:10.0.0.9'), ['::ffff:10.0.0.9']);
    assert.throws(() => new ClientFilter(['::ffff:10.0.0.0/64']), { code: 'bad-client' });
  });

  test('link-local: with a zone only there, without one anywhere', () => {
    const clients = ['fe80::7%eth0', 'fe80::7%eth1', 'fe80::8%eth0'];
    assert.deepEqual(accepted('fe80::7', ...clients), ['fe80::7%eth0', 'fe80::7%eth1']);
    assert.deepEqual(accepted('fe80::7%eth1', ...clients), ['fe80::7%eth1']);
    assert.deepEqual(accepted('fe80::/10', ...clients), clients);
    assert.equal(new ClientFilter(['FE80::7%eth1']).single, 'fe80::7%eth1');
    assert.equal(new ClientFilter(['::ffff:10.0.0.7']).single, '10.0.0.7');
    assert.equal(new ClientFilter(['10.0.0.7/32']).single, null);
  });
});

describe('Zones', () => {
  const six = (scopeid: number) =>
    [{ family: 'IPv6', scopeid, address: 'fe80::1' }] as unknown as NetworkInterfaceInfo[];

  test('a number becomes the name of the interface, for good', () => {
    let now: Record<string, NetworkInterfaceInfo[]> = { eth0: six(3), lo: six(0) };
    const zones = new Zones({ interfaces: () => now });
    assert.equal(zones.named('fe80::7%3'), 'fe80::7%eth0');
    assert.equal(zones.named('10.0.0.7'), '10.0.0.7');
    assert.equal(zones.named('fe80::7%9'), 'fe80::7%9', 'there is no such interface');
    now = { renamed: six(3) };
    assert.equal(zones.named('fe80::7%3'), 'fe80::7%eth0');
  });

  test('who asks for interfaces that are not there costs one look a second', () => {
    let looks = 0;
    const zones = new Zones({ interfaces: () => ((looks += 1), {}) });
    for (let n = 0; n < 1000; n += 1) zones.named(`fe80::7%${n}`);
    assert.ok(looks <= 2, String(looks));
  });
});

describe('labels are hostile input', () => {
  for (const [text, why] of [
    ['', /empty/],
    ['x'.repeat(65), /longer/],
    ['a\nb', /control/],
    ['\x1b[31mred', /control/],
    ['right\u202eleft', /control/],
    ['zero\u200bwidth', /control/],
    ['line\u2028end', /control/],
    ['half \ud800', /control/],
    [' a', /space/],
    ['10.0.0.7', /address/],
    ['::1', /address/],
  ] as const)
    test(JSON.stringify(text.slice(0, 20)), () =>
      assert.throws(() => soundLabel(text), { code: 'bad-label', message: why }),
    );
  test('what is fit', () => {
    for (const text of ['rack1-07', 'Küche links', '机架 7', 'x'.repeat(64)])
      assert.equal(soundLabel(text), text);
  });
});

describe('ClientNames', () => {
  const settled = async (): Promise<void> => {
    for (let n = 0; n < 20; n += 1) await turn();
  };

  test('asks one after the other, once an hour, and keeps only names of hosts', async () => {
    const asked: string[] = [];
    let beside = 0;
    const names = new ClientNames({
      lookup: async (address) => {
        asked.push(address);
        beside += 1;
        assert.equal(beside, 1);
        await turn();
        beside -= 1;
        if (address === 'b') throw new Error('no answer');
        return { a: 'node7.example.net', c: '\x1b[2J', d: 'x'.repeat(300) }[address] ?? '';
      },
    });
    for (const address of ['a', 'b', 'c', 'd', 'a']) names.want(address);
    await settled();
    names.want('a');
    await settled();
    assert.deepEqual(asked, ['a', 'b', 'c', 'd']);
    assert.deepEqual(names.take(), [{ address: 'a', name: 'node7.example.net' }]);
    assert.deepEqual(names.take(), []);
  });

  test('a resolver that never answers keeps nobody waiting and fills no memory', async () => {
    let asked = 0;
    const names = new ClientNames({
      lookup: () => {
        asked += 1;
        return new Promise<string>(() => undefined);
      },
    });
    for (let n = 0; n < 100_000; n += 1) names.want(String(n));
    await settled();
    assert.equal(asked, 1);
    assert.deepEqual(names.take(), []);
  });
});

describe("the server's own view of its NFSv4 clients", () => {
  // Linux 6.1.
  const info = (more: Partial<Record<string, string>> = {}): string =>
    Object.entries({
      clientid: '0xbfdd73186b007747',
      address: '"10.77.0.47:739"',
      status: 'confirmed',
      'seconds from last renew': '5',
      name: '"Linux NFSv4.0 alpha/10.77.0.1"',
      'minor version': '0',
      ...more,
    })
      .map(([key, value]) => `${key}: ${value}\n`)
      .join('');

  test('who, and when at the earliest', () => {
    assert.deepEqual(renewalOf(info(), 100_000_000), {
      clBoot: 0x6b007747,
      clId: 0xbfdd7318,
      address: '10.77.0.47',
      ownerName: Buffer.from('Linux NFSv4.0 alpha/10.77.0.1'),
      atUs: 94_000_000,
    });
  });

  test('IPv6, and a name that tries to be more than one line', () => {
    const name = '"a\\x0astatus: confirmed\\x22\\x5c"';
    const six = renewalOf(info({ address: '"[2001:db8:77::b]:835"', name }), 0);
    assert.equal(six?.address, '2001:db8:77::b');
    assert.equal(six.ownerName.toString(), 'a\nstatus: confirmed"\\');
  });

  test('nothing of those that are not alive, or of kernels that do not say', () => {
    assert.equal(renewalOf(info({ status: 'courtesy' }), 0), null);
    assert.equal(renewalOf(info({ status: 'unconfirmed' }), 0), null);
    assert.equal(renewalOf('clientid: 0x1\naddress: "10.0.0.7:1"\nname: "x"\n', 0), null);
    assert.equal(renewalOf('', 0), null);
  });

  test('it is read at most every ten seconds', () => {
    const folder = mkdtempSync(join(tmpdir(), 'clients-'));
    try {
      mkdirSync(join(folder, '1'));
      mkdirSync(join(folder, '2'));
      writeFileSync(join(folder, '1/info'), info());
      const renewals = new Nfs4Renewals({ folder });
      assert.equal(renewals.read().length, 1);
      assert.equal(renewals.read().length, 0);
      assert.deepEqual(new Nfs4Renewals({ folder: join(folder, 'none') }).read(), []);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test('accesses that got no session are one loss of the recording, and no session', () => {
  const builder = new BatchBuilder();
  builder.refuse(7, { count: 2, firstUs: 10, lastUs: 20 });
  builder.refuse(7, { count: 3, firstUs: 5, lastUs: 15 });
  builder.refuse(8, { count: 1, firstUs: 1, lastUs: 1 });
  assert.deepEqual(
    builder.losses.map(({ recordingId, sessionId, count, fromUs, toUs, alone }) => [
      recordingId,
      sessionId,
      count,
      fromUs,
      toUs,
      alone,
    ]),
    [
      [7, null, 5, 5, 20, true],
      [8, null, 1, 1, 1, true],
    ],
  );
});
