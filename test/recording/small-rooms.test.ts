/** The small pure parts of recording: filters, tables, merging, translation. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import type { SessionEffect } from '../../src/attribution/boot-sessions.ts';
import { BatchBuilder } from '../../src/recording/batch-builder.ts';
import type { AccessUpdate } from '../../src/store/types.ts';
import { ClientFilter } from '../../src/recording/client-filter.ts';
import {
  addressOfHex,
  connectedClients,
  peersInTable,
} from '../../src/recording/connected-clients.ts';
import { batchOfEffects, noticesOfEffects } from '../../src/recording/effects.ts';
import { parseExportTable } from '../../src/attribution/handle.ts';
import {
  keyByOptions,
  parseClientDomains,
  parseEtab,
  parseKernelExports,
} from '../../src/recording/exports.ts';
import { isWithin } from '../../src/recording/paths.ts';
import { clientOf } from '../../src/recording/file-attributor.ts';

describe('ClientFilter', () => {
  const accepted = (rules: string[], clients: string[]): string[] => {
    const filter = new ClientFilter(rules);
    return clients.filter((client) => filter.accepts(client));
  };
  const CLIENTS = ['10.0.0.7', '10.0.1.7', '2001:db8::7', 'fe80::7%3', 'unattributed'];

  test('none: every client, even one that has no address', () => {
    assert.deepEqual(accepted([], CLIENTS), CLIENTS);
  });

  test('addresses and ranges of both families', () => {
    assert.deepEqual(accepted(['10.0.0.7'], CLIENTS), ['10.0.0.7']);
    assert.deepEqual(accepted(['10.0.0.0/24'], CLIENTS), ['10.0.0.7']);
    assert.deepEqual(accepted(['10.0.0.0/23', '2001:DB8::/32'], CLIENTS), CLIENTS.slice(0, 3));
    assert.deepEqual(accepted(['fe80::/10'], CLIENTS), ['fe80::7%3']);
    assert.deepEqual(accepted(['0.0.0.0/0'], CLIENTS), CLIENTS.slice(0, 2));
  });

  test('one that was named', () => {
    assert.equal(new ClientFilter(['10.0.0.7']).single, '10.0.0.7');
    for (const rules of [[], ['10.0.0.7/32'], ['10.0.0.7', '10.0.0.8']])
      assert.equal(new ClientFilter(rules).single, null);
  });

  for (const rule of [
    '',
    'sarge',
    '10.0.0',
    '10.0.0.7/',
    '10.0.0.7/33',
    '10.0.0.7/-1',
    '10.0.0.7/8/8',
    '::1/129',
    '::1/x',
  ])
    test(`'${rule}' is none`, () => {
      assert.throws(() => new ClientFilter([rule]), { code: 'bad-client', exit: 'usage' });
    });
});

describe('whose file event it was', () => {
  const filter = (...rules: string[]) => new ClientFilter(rules);
  const cases: readonly (readonly [string, readonly string[], string[], string | null])[] = [
    ['nobody is seen, nobody named', [], [], 'unattributed'],
    ['one is connected', ['10.0.0.7'], [], '10.0.0.7'],
    ['two are', ['10.0.0.7', '10.0.0.8'], [], 'unattributed'],
    ['nobody is seen, one named', [], ['10.0.0.9'], '10.0.0.9'],
    ['two are, one of them named', ['10.0.0.7', '10.0.0.8'], ['10.0.0.8'], '10.0.0.8'],
    ['two are, another named', ['10.0.0.7', '10.0.0.8'], ['10.0.0.9'], 'unattributed'],
    ['one is, in the range', ['10.0.0.7'], ['10.0.0.0/24'], '10.0.0.7'],
    ['one is, not in the range', ['10.1.0.7'], ['10.0.0.0/24'], null],
    ['one is, another named', ['10.0.0.7'], ['10.0.0.9'], null],
    ['two are, and a range', ['10.0.0.7', '10.1.0.7'], ['10.0.0.0/24'], 'unattributed'],
  ];
  for (const [what, connected, rules, expected] of cases)
    test(what, () => assert.equal(clientOf(connected, filter(...rules)), expected));
});

describe('connected clients', () => {
  test('addresses as the kernel prints them', () => {
    assert.equal(addressOfHex('0100007F'), '127.0.0.1');
    assert.equal(addressOfHex('0700000A'), '10.0.0.7');
    assert.equal(addressOfHex('0000000000000000FFFF00000700000A'), '10.0.0.7');
    assert.equal(addressOfHex('B80D0120000000000000000007000000'), '2001:db8::7');
    assert.equal(addressOfHex('00000000000000000000000001000000'), '::1');
  });

  test('established ones of the ports, once each', () => {
    const line = (local: string, remote: string, state: string) =>
      `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000 0 0 1 1`;
    const table = [
      '  sl  local_address rem_address   st tx_queue',
      line('00000000:0801', '00000000:0000', '0A'),
      line('0900000A:0801', '0800000A:0399', '01'),
      line('0900000A:0801', '0700000A:0398', '01'),
      line('0900000A:0801', '0700000A:0397', '01'),
      line('0900000A:0801', '0500000A:0397', '06'),
      line('0900000A:0016', '0600000A:0397', '01'),
      '',
    ].join('\n');
    assert.deepEqual(peersInTable(table, new Set([2049])), ['10.0.0.7', '10.0.0.8']);
    assert.deepEqual(peersInTable(table, new Set([22])), ['10.0.0.6']);
    assert.deepEqual(peersInTable('', new Set([22])), []);
  });

  test('on this machine', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    assert.deepEqual(connectedClients(new Set([port])), []);
    const client = connect(port, '127.0.0.1');
    const [accepted] = (await once(server, 'connection')) as [{ destroy(): void }];
    assert.deepEqual(connectedClients(new Set([port])), ['127.0.0.1']);
    accepted.destroy();
    client.destroy();
    server.close();
  });
});

describe('exports', () => {
  test('isWithin goes by components', () => {
    const within = (inner: string, outer: string) =>
      isWithin(Buffer.from(inner), Buffer.from(outer));
    assert.ok(within('/a/b', '/a'));
    assert.ok(within('/a', '/a'));
    assert.ok(within('/a', '/'));
    assert.ok(within('/', '/'));
    assert.ok(!within('/ab', '/a'));
    assert.ok(!within('/a', '/a/b'));
  });

  test('etab: escapes undone, one directory and its options a line', () => {
    const etab = Buffer.from(
      '/nfsroots/with\\040blank\t10.0.0.0/24(rw,sync)\n/nfsroots/\\377\\134x\t*(ro)\n',
    );
    assert.deepEqual(parseEtab(etab), [
      {
        path: Buffer.from('/nfsroots/with blank'),
        domain: '10.0.0.0/24',
        options: new Set(['rw', 'sync']),
      },
      {
        path: Buffer.from('/nfsroots/\xff\\x', 'latin1'),
        domain: '*',
        options: new Set(['ro']),
      },
    ]);
    assert.deepEqual(parseEtab(Buffer.alloc(0)), []);
  });

  test('the kernel’s table of options: comments are no exports', () => {
    const content = Buffer.from(
      '#path domain(flags)\n' +
        '/with\\040blank\t10.0.0.7,*(ro,insecure,no_subtree_check,uuid=5a3f:9c:0:1)\n' +
        '# /gone\t*()\n/checked\t*(rw,fsid=0)\n',
    );
    assert.deepEqual(
      parseKernelExports(content).map(({ path, domain, options }) => [
        String(path),
        domain,
        options.has('no_subtree_check'),
      ]),
      [
        ['/with blank', '10.0.0.7,*', true],
        ['/checked', '*', false],
      ],
    );
  });

  test('the key that the kernel makes of the options, before it lists it', () => {
    // Both tables of one server (6.1): an ext4, a directory of another, fsid=21.
    const content = Buffer.from(
      '/nfsroots/below\t*,10.77.0.32(ro,uuid=b287108e:8c8f44f8:8e9f6248:2c9a282e,sec=1)\n' +
        '/nfsroots/shared/one\t*,10.77.0.31(rw,uuid=3425c42b:911548d7:a42d496e:852199fa,sec=1)\n' +
        '/nfsroots/twice\t*,10.77.0.31(rw,insecure,fsid=21,sec=1)\n/neither\t*(ro)\n',
    );
    const listed = Buffer.from(
      '*,10.77.0.32 6 0x8e1087b2f8448f8c48629f8e2e289a2c /nfsroots/below\n' +
        '*,10.77.0.31 7 0x00000802000000002bc42534d74815916e492da4fa992185 /nfsroots/shared/one\n' +
        '*,10.77.0.31 1 0x00000015 /nfsroots/twice\n',
    );
    const keys = parseKernelExports(content).map((one) =>
      keyByOptions(one, { top: String(one.path) === '/nfsroots/below', inode: 0x802n }),
    );
    assert.deepEqual(keys, [...parseExportTable(listed), null]);
  });

  test('which domain a client is in: addresses as we write them', () => {
    const content = Buffer.from(
      '#class IP domain\nnfsd 10.0.0.7 10.0.0.7,*\n' +
        'nfsd fd00:0000:0000:0000:0000:0000:0000:0007 *\nnfsd 10.0.0.9 -no-domain-\nother 1.2.3.4 x\n',
    );
    const domains = parseClientDomains(content);
    assert.equal(domains.get('10.0.0.7'), '10.0.0.7,*');
    assert.equal(domains.get('fd00::7'), '*');
    assert.equal(domains.get('1.2.3.4'), undefined);
  });
});

describe('BatchBuilder', () => {
  const sighting = (more: Partial<AccessUpdate>): AccessUpdate => ({
    sessionId: 1,
    fileId: 1,
    operations: 1,
    count: 1,
    bytes: 10,
    firstUs: 100,
    lastUs: 200,
    order: 5,
    evidence: 'nfsd',
    created: false,
    ...more,
  });

  test('one row for each session, file and evidence', () => {
    const builder = new BatchBuilder();
    builder.add(sighting({}));
    builder.add(
      sighting({ operations: 4, count: 2, bytes: 5, firstUs: 50, lastUs: 150, order: 3 }),
    );
    builder.add(sighting({ created: true, order: 9 }));
    builder.add(sighting({ sessionId: 2 }));
    builder.add(sighting({ fileId: 2 }));
    builder.add(sighting({ evidence: 'sole-client' }));
    const rows = builder.accesses();
    assert.equal(rows.length, 4);
    assert.deepEqual(
      rows[0],
      sighting({
        operations: 5,
        count: 4,
        bytes: 25,
        firstUs: 50,
        lastUs: 200,
        order: 3,
        created: true,
      }),
    );
  });
});

describe('effects', () => {
  const session = {
    id: 41,
    client: '10.0.0.7',
    rootId: 1,
    recordingId: 2,
    evidence: { kind: 'nfs3-mount' as const },
    partial: false,
    openedUs: 1000,
    lastUs: 2000,
  };
  const identity = { address: '10.0.0.7', ownerName: Buffer.from('x'), verifier: '0'.repeat(16) };
  const effects: SessionEffect[] = [
    { kind: 'opened', session },
    { kind: 'revised', session: { ...session, partial: true } },
    { kind: 'identity', identity },
    { kind: 'closed', id: 40, reason: 'boot', atUs: 3000 },
    {
      kind: 'collision',
      address: '10.0.0.7',
      otherAddress: '10.0.0.8',
      ownerName: Buffer.from('a\n"b"'),
    },
  ];

  test('become rows with the wall clock', () => {
    const wall = { ...session, openedUs: 1_001_000, lastUs: 1_002_000 };
    assert.deepEqual(
      batchOfEffects(
        effects,
        (us) => us + 1_000_000,
        (id) => (id === 41 ? 'exact' : 'reads'),
      ),
      {
        opened: [{ ...wall, tier: 'exact' }],
        revised: [{ ...wall, partial: true }],
        identities: [identity],
        forgotten: [],
        pending: [],
        notes: [],
        closed: [{ id: 40, reason: 'boot', atUs: 1_003_000 }],
      },
    );
  });

  test('become words for the log', () => {
    assert.deepEqual(noticesOfEffects(effects), [
      { level: 'info', text: 'session-41 of 10.0.0.7: nfs3-mount' },
      { level: 'info', text: 'session-40 ended: boot' },
      {
        level: 'warn',
        text: '10.0.0.7 and 10.0.0.8 use the same NFSv4 owner name "a\\n\\"b\\"": clones with one host name?',
      },
    ]);
  });
});
