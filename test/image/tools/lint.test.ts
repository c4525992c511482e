/** `trace image lint`: each of its findings, and none where nothing is wrong. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { TraceSandbox } from '../../support/trace-sandbox.ts';
import { makeElf } from '../make-elf.ts';
import { compressed } from './compressed.ts';
import { archive, directory, file, link, record } from './craft.ts';

let sandbox: TraceSandbox;
before(() => {
  sandbox = new TraceSandbox();
});
after(() => sandbox.remove());

const program = { mode: 0o100755 };
const elf = (shape: Parameters<typeof makeElf>[0]): Buffer => Buffer.from(makeElf(shape), 'latin1');
const folders = (...names: readonly string[]): Buffer[] => names.map((name) => directory(name));

/** A small system in which nothing is wrong. */
const sound: readonly Buffer[] = [
  ...folders('.', 'bin', 'dev', 'etc', 'lib', 'lib/modules', 'lib/modules/6.1', 'usr', 'proc'),
  record({ name: 'dev/console', mode: 0o020600, rdev: [5, 1] }),
  file('init', '#!/bin/sh\n', program),
  file('bin/sh', elf({ interpreter: '/lib/ld.so', needed: ['libc.so'] }), program),
  file('lib/ld.so', elf({ soname: 'ld.so' }), program),
  file('lib/libc.so', elf({ soname: 'libc.so' })),
  file('etc/passwd', 'root:x:0:0::/:/bin/sh\nsshd:x:74:74::/:/bin/false\n'),
  file('etc/group', 'root:x:0:\nsshd:x:74:\n'),
  file('etc/machine-id', 'uninitialized\n'),
  file('usr/owned', 'x', { uid: 74, gid: 74 }),
  link('etc/mtab', '/proc/self/mounts'),
  file('lib/modules/6.1/modules.dep', 'a.ko: b.ko\nb.ko:\n'),
  file('lib/modules/6.1/a.ko', elf({ modinfo: ['name=a'] })),
  file('lib/modules/6.1/b.ko', elf({ modinfo: ['name=b'] })),
];

interface Linted {
  faults: number;
  findings: { kind: string; code: string; path: string | null; message: string }[];
}

async function linted(bytes: Buffer): Promise<Linted & { exit: number | null }> {
  writeFileSync(sandbox.at('image'), bytes);
  const { code, json } = await sandbox.run(['image', 'lint', sandbox.at('image'), '--json']);
  return { ...(json as Linted), exit: code };
}

/** `kind code path`, of a sound system with something more or less. */
async function found(more: readonly Buffer[], without: readonly string[] = []): Promise<string[]> {
  const kept = sound.filter((one) => !without.some((name) => one.includes(`${name}\0`)));
  const { findings } = await linted(archive(...kept, ...more));
  return findings.map(({ kind, code, path }) => `${kind} ${code} ${path ?? ''}`.trim());
}

test('nothing where nothing is wrong, compressed or not, from a pipe', async () => {
  for (const bytes of [archive(...sound), compressed('zstd', archive(...sound))])
    assert.deepEqual(await linted(bytes), { ...(await linted(bytes)), findings: [], exit: 0 });
  const line = 'cat "$0" | "$1" "$2" image lint -';
  const args = ['sh', '-c', line, sandbox.at('image'), ...sandbox.command([])] as const;
  assert.equal((await sandbox.execute([...args])).text, 'standard input: 0 faults, 0 notes\n');
});

test('what a boot needs', async () => {
  assert.deepEqual(await found([], ['init']), ['fault no-init init']);
  assert.deepEqual(await found([file('init', '#!/bin/sh\n')]), ['fault init-not-executable init']);
  assert.deepEqual(await found([], ['dev/console']), ['note kernel-console dev/console']);
  assert.deepEqual(await found([], ['.']), ['note open-root .']);
  assert.deepEqual(await found([file('y/a')]), ['fault dropped']);
  assert.deepEqual(await found([Buffer.from('0'.repeat(112))]), ['fault broken']);
});

test('what programs and scripts need', async () => {
  assert.deepEqual(await found([], ['lib/libc.so']), ['fault missing-library']);
  assert.deepEqual(await found([file('bin/x', '#!/bin/perl\n', program)]), [
    'fault missing-script-interpreter',
  ]);
  const { findings } = await linted(
    archive(...sound, file('bin/x', elf({ interpreter: '/lib/ld-musl-x.so.1' }), program)),
  );
  assert.equal(findings[0]?.code, 'missing-interpreter');
  assert.match(findings[0].message, /\/lib\/ld-musl-x\.so\.1 \(for \/bin\/x\)/);
});

test('services, modules, owners', async () => {
  const units = folders('usr/lib', 'usr/lib/systemd', 'usr/lib/systemd/system');
  const unit = (text: string) => file('usr/lib/systemd/system/a.service', `[Service]\n${text}\n`);
  const path = 'usr/lib/systemd/system/a.service';
  assert.deepEqual(
    await found([...units, unit('ExecStart=/bin/sh -c x\nUser=sshd\nGroup=74')]),
    [],
  );
  assert.deepEqual(await found([...units, unit('ExecStart=-/bin/no\nExecStartPre=+/bin/%i')]), []);
  const asked = (condition: string) => unit(`${condition}\nExecStart=/bin/no start`);
  for (const only of ['ConditionPathExists=/bin/no', 'ConditionFileIsExecutable= /bin/no'])
    assert.deepEqual(await found([...units, asked(only)]), []);
  for (const none of ['ConditionPathExists=!/bin/no', 'ConditionPathExists=/bin'])
    assert.deepEqual(await found([...units, asked(none)]), [`note unit-program ${path}`]);
  assert.deepEqual(await found([...units, unit('ExecStart=@/bin/no no\nUser=who\nGroup=who')]), [
    `note unit-program ${path}`,
    `note unit-account ${path}`,
    `note unit-account ${path}`,
  ]);
  assert.deepEqual(await found([...units, unit('User = sshd \t\r\nGroup=\t74')]), []);
  const started = process.cpuUsage();
  const blanks = ' '.repeat(60_000);
  assert.equal((await found([...units, unit(`User= a${blanks}b`)])).length, 1);
  assert.ok(process.cpuUsage(started).user < 1_000_000);
  assert.deepEqual(await found([...units, unit('DynamicUser=yes\nUser=who\nExecStart=sh')]), []);
  assert.deepEqual(await found([], ['lib/modules/6.1/b.ko']), [
    'fault module-without lib/modules/6.1/a.ko',
  ]);
  assert.deepEqual(await found([], ['lib/modules/6.1/modules.dep']), [
    'fault no-modules-dep lib/modules/6.1',
  ]);
  assert.deepEqual(await found([file('usr/a', 'x', { uid: 5 }), file('usr/b', 'x', { gid: 6 })]), [
    'note unknown-user usr/a',
    'note unknown-group usr/b',
  ]);
});

test('lines of units that go on, drop-ins, sockets, what hides another', async () => {
  const above = folders('usr/lib', 'usr/lib/systemd', 'usr/lib/systemd/system');
  const etc = folders('etc/systemd', 'etc/systemd/system', 'etc/systemd/system/a.service.d');
  const [path, inEtc] = ['usr/lib/systemd/system/a.service', 'etc/systemd/system/a.service'];
  const unit = (text: string, name = path) => file(name, `[Service]\n${text}\n`);
  const dropIn = (name: string, text: string) => unit(text, `${inEtc}.d/${name}`);
  const program = (name: string) => [`note unit-program ${name}`];
  const cases: [text: string, found: string[]][] = [
    ['ExecStart=\\\n  /bin/sh -c x', []],
    ['ExecStart=\\\n  /bin/no x', program(path)],
    ['ExecStart=\\\r\n# of it /bin/sh \\\n ; x\n  /bin/no x', program(path)],
    ['ExecStart=/bin/sh -c \\\n ExecStart=/bin/no', []],
    ['ExecStart=/bin/sh \\\\\nExecStop=/bin/no', program(path)],
    ['ExecStart=/bin/sh \\\n\nExecReload=/bin/no', program(path)],
    ['# ExecStart=/bin/no \\\nExecCondition=/bin/no', program(path)],
    ['ExecStopPost=/bin/no \\', program(path)],
    ['ExecStart=/bin/no\nExecStart=\nExecStart=/bin/sh\nUser=no\nUser=sshd', []],
  ];
  for (const [text, told] of cases)
    assert.deepEqual(await found([...above, unit(text)]), told, text);
  const socket = 'usr/lib/systemd/system/a.socket';
  assert.deepEqual(await found([...above, unit('ExecStopPre=/bin/no', socket)]), program(socket));

  const both = [...above, ...etc, unit('ExecStart=/bin/no\nUser=no')];
  assert.deepEqual(
    await found([...both, dropIn('b.conf', 'ExecStart=\nExecStart=/bin/sh\nUser=sshd')]),
    [],
  );
  assert.deepEqual(
    await found([
      ...both,
      dropIn('b.conf', 'ExecStart=/bin/none\nUser='),
      dropIn('a.conf', 'ExecStart='),
      dropIn('c', 'ExecStart='),
    ]),
    program(`${inEtc}.d/b.conf`),
  );
  assert.deepEqual(await found([...both, unit('ExecStart=/bin/sh', inEtc)]), []);
  assert.deepEqual(await found([...both, link(inEtc, '/dev/null')]), []);

  const started = process.cpuUsage();
  for (const hostile of [
    '\\\n'.repeat(30_000),
    '\\'.repeat(60_000),
    'ExecStart=sh \\\n'.repeat(4000),
  ])
    assert.deepEqual(await found([...above, unit(`${hostile}x`)]), []);
  assert.ok(process.cpuUsage(started).user < 1_000_000);
});

test('an end to looking, without a word of what was not looked for', async () => {
  const units = Array.from({ length: 20 }, (_, at) =>
    file(`usr/lib/systemd/system/${at}.service`, 'ExecStart=sh\n'.repeat(5000)),
  );
  const above = folders('usr/lib', 'usr/lib/systemd', 'usr/lib/systemd/system');
  const { findings } = await linted(archive(...sound, ...above, ...units));
  assert.deepEqual(
    findings.map(({ code, message }) => `${code}: ${message}`),
    ['not-looked-into: too much to look for'],
  );
});

const base64 = 'b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQA';

test('private keys: all formats, behind certificates too, and not where they are only named', async () => {
  const pem = `-----BEGIN PRIVATE KEY-----\n${base64}`;
  const line = `${base64}\n`;
  const keys: Readonly<Record<string, string>> = {
    rsa: `-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\n`,
    pgp: `-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n${base64}`,
    putty: 'PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n',
    ssh2: `---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: "x"\n${base64}`,
    wireguard: `[Interface]\nAddress = 10.0.0.1\nPrivateKey = ${base64}=\n`,
    bind: 'Private-key-format: v1.3\nAlgorithm: 13 (ECDSAP256SHA256)\n',
    age: `# created: 2024\nAGE-SECRET-KEY-1${'GFPYYSJZ'.repeat(6)}GFPQ4EGAEX\n`,
    json: `{"private_key": "-----BEGIN PRIVATE KEY-----\\n${base64}"}`,
    haproxy: `-----BEGIN CERTIFICATE-----\n${line.repeat(1400)}-----END CERTIFICATE-----\n${pem}`,
  };
  for (const [name, text] of Object.entries(keys))
    assert.deepEqual(await found([file('etc/x', text)]), ['fault private-key etc/x'], name);
  const none: Readonly<Record<string, string>> = {
    program: 'START = b"-----BEGIN OPENSSH PRIVATE KEY-----"\nEND = b"-----END"\n',
    documentation: 'a file with PuTTY-User-Key-File-2: or AGE-SECRET-KEY-1... or PrivateKey = x',
    public: `-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n${base64}`,
    'no text': `\0${line.repeat(200)}${pem}`,
    'too far': `${line.repeat(1600)}${pem}`,
  };
  for (const [name, text] of Object.entries(none))
    assert.deepEqual(await found([file('etc/x', text)]), [], name);
  const two = { ino: 9, nlink: 2 };
  assert.deepEqual(await found([file('etc/x', '', two), file('etc/y', pem, two)]), [
    'fault private-key etc/x',
    'fault private-key etc/y',
  ]);
});

test('secrets, set-id, links to nothing', async () => {
  const key = `-----BEGIN OPENSSH PRIVATE KEY-----\n${base64}`;
  assert.deepEqual(
    await found([file('etc/host_key', key), file('etc/host_key.pub', 'ssh-rsa A')]),
    ['fault private-key etc/host_key'],
  );
  assert.deepEqual(await found([file('etc/machine-id', `${'0a'.repeat(16)}\n`)]), [
    'fault machine-id etc/machine-id',
  ]);
  const shadow = (field: string) =>
    found([file('etc/shadow', `x:*:1::::::\nroot:${field}:1:::::\n`)]);
  for (const hash of [
    '$6$abc$def',
    '!$6$abc$def',
    '!!$y$j9T$a$b',
    'ab1/.defghijk',
    '_J9..rasmBYk8r9AiWNc',
  ])
    assert.deepEqual(await shadow(hash), ['note password-hash etc/shadow'], hash);
  for (const none of ['', '!', '!!', '*', '!*', 'x', '*LK*', '!unprovisioned'])
    assert.deepEqual(await shadow(none), [], none);
  assert.deepEqual(await found([file('bin/su', 'x', { mode: 0o104755 })]), ['note set-id bin/su']);
  assert.deepEqual(
    await found([link('etc/a', 'b'), link('etc/b', 'no'), link('etc/c', '/run/x')]),
    ['note dangling-link etc/a', 'note dangling-link etc/b'],
  );
  // What is below a mount point is made at run time; a mount point is not.
  assert.deepEqual(
    await found([
      ...[
        link('run', 'var/run'),
        link('tmp', '/nowhere'),
        link('sys', '/run/sys'),
        directory('var'),
      ],
      ...[
        link('etc/mtab', '/proc/mounts'),
        link('etc/run', '/var/run'),
        link('var/lock', '/run/x'),
      ],
    ]),
    ['note dangling-link run', 'note dangling-link tmp'],
  );
});

test('for people: one line each, and status 1 for faults alone', async () => {
  writeFileSync(sandbox.at('image'), archive(...sound, link('etc/\n', 'no')));
  const { text } = await sandbox.ok(['image', 'lint', sandbox.at('image')]);
  assert.match(text, /^note dangling-link etc\/\\x0a: there is no no\n.*: 0 faults, 1 notes\n$/);
  assert.equal((await linted(archive(file('a')))).exit, 1);
});
