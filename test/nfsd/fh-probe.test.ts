/** What is written to the kernel for the probe, and what is made of its answers: on a pretended tracefs. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  createProbe,
  hasProbe,
  missedBy,
  ownProbeName,
  PREPARED_PROBE,
  removeLeftovers,
  removeProbe,
  whyNoProbe,
} from '../../src/capture/fh-probe.ts';
import { probeNfsd } from '../../src/capture/nfsd-probe.ts';
import { kernelFormats, type FixtureKernel } from './kernel-records.ts';

interface Pretended {
  readonly folder: string;
  readonly commands: () => string[];
  readonly add: (...events: string[]) => void;
}

/** Events of a kernel less some; kprobe_events is a plain file, which takes everything. */
function pretend(
  t: TestContext,
  kernel: FixtureKernel,
  options: { without?: string[]; kprobes?: boolean } = {},
): Pretended {
  const { without = ['fhv', 'fhv_ret'], kprobes = true } = options;
  const folder = mkdtempSync(join(tmpdir(), 'tracefs-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const formats = kernelFormats([], kernel);
  const put = (system: string, event: string, text: string): void => {
    mkdirSync(join(folder, 'events', system, event), { recursive: true });
    writeFileSync(join(folder, 'events', system, event, 'format'), text);
  };
  for (const [event, text] of Object.entries(formats))
    if (!without.includes(event) && !event.startsWith('fhv'))
      put(event === 'svc_process' ? 'sunrpc' : 'nfsd', event, text);
  const file = join(folder, 'kprobe_events');
  if (kprobes) writeFileSync(file, 'p:others/mine vfs_read\n');
  return {
    folder,
    commands: () => readFileSync(file, 'utf8').split('\n').slice(1, -1),
    add: (...events) => {
      for (const event of events)
        put('nfsroot_trace', event, formats[event.replace(/^fhv_\d+_\d+/, 'fhv')] ?? '');
    },
  };
}

const VERIFY = ['nfsd_fh_verify', 'nfsd_fh_verify_err'];

test('creating appends two definitions, once; others’ stay', (t) => {
  const { folder, commands, add } = pretend(t, '5.10');
  assert.equal(hasProbe(folder, 'fhv'), false);
  createProbe(folder, 'fhv');
  assert.match(commands()[0] ?? '', /^p:nfsroot_trace\/fhv nfsd:fh_verify fsz=\+0\(\$arg2\):u32 /);
  assert.match(
    commands()[1] ?? '',
    /^r\d+:nfsroot_trace\/fhv_ret nfsd:fh_verify ret=\$retval:x32$/,
  );
  add('fhv', 'fhv_ret');
  createProbe(folder, 'fhv');
  assert.equal(commands().length, 2);
  assert.equal(removeProbe(folder, 'fhv'), 'removed');
  assert.deepEqual(commands().slice(2), ['-:nfsroot_trace/fhv_ret', '-:nfsroot_trace/fhv']);
  assert.match(readFileSync(`${folder}/kprobe_events`, 'utf8'), /^p:others\/mine vfs_read\n/);
});

test('a half that somebody left is removed before both are created', (t) => {
  const { folder, commands, add } = pretend(t, '5.10');
  add('fhv_ret');
  assert.equal(hasProbe(folder, 'fhv'), false);
  createProbe(folder, 'fhv');
  const [first, second, third, fourth] = commands();
  assert.deepEqual([first, second], ['-:nfsroot_trace/fhv_ret', '-:nfsroot_trace/fhv']);
  assert.match(third ?? '', /^p:nfsroot_trace\/fhv /);
  assert.match(fourth ?? '', /^r1024:nfsroot_trace\/fhv_ret /);
});

test('what is no lack of the kernel or of rights is a failure, with the system’s word for it', (t) => {
  const { folder } = pretend(t, '5.10', { kprobes: false });
  mkdirSync(`${folder}/kprobe_events`);
  assert.match(whyNoProbe(folder) ?? '', /EISDIR/);
  assert.throws(() => createProbe(folder, 'fhv'), { code: 'no-kprobe', exit: 'io' });
});

test('a kernel without kprobe events says so, and there is nothing to remove', (t) => {
  const { folder } = pretend(t, '5.10', { kprobes: false });
  assert.match(whyNoProbe(folder) ?? '', /CONFIG_KPROBE_EVENTS/);
  assert.throws(() => createProbe(folder, 'fhv'), { code: 'no-kprobe', exit: 'unavailable' });
  assert.equal(removeProbe(folder, 'fhv'), 'absent');
});

test('calls that the kernel could not probe are counted, its own and its partner’s', (t) => {
  const { folder } = pretend(t, '5.10');
  assert.equal(missedBy(folder, 'fhv'), 0);
  const lines = ['fhv 812 2', 'fhv_ret 810 3', 'fhv_1_1 5 70', 'others_fhv 5 700'];
  writeFileSync(
    `${folder}/kprobe_profile`,
    lines.map((line) => `  ${line.replaceAll(' ', '        ')}\n`).join(''),
  );
  assert.equal(missedBy(folder, 'fhv'), 5);
});

test('what a killed daemon left is removed; a living one’s and the prepared one are not', (t) => {
  const { folder, commands, add } = pretend(t, '5.10');
  const mine = ownProbeName();
  assert.notEqual(mine, ownProbeName());
  // No process has this number: pid_max is at most 2^22.
  add('fhv_4194999_1', 'fhv_4194999_1_ret', mine, `${mine}_ret`, PREPARED_PROBE, 'fhv_ret');
  assert.equal(removeLeftovers(folder), 1);
  assert.deepEqual(commands(), [
    '-:nfsroot_trace/fhv_4194999_1_ret',
    '-:nfsroot_trace/fhv_4194999_1',
  ]);
});

test('probing tells the tier, where checks come from, and what is lacking for a better one', (t) => {
  const cases: [string, Pretended, string, string | null, string[]][] = [
    ['5.10', pretend(t, '5.10'), 'exact', 'kprobe', ['exact+names']],
    ['5.10, none', pretend(t, '5.10', { kprobes: false }), 'reads', null, ['exact', 'exact+names']],
    ['6.12', pretend(t, '6.12'), 'exact', 'tracepoint', ['exact+names']],
    ['7.x', pretend(t, '7.x'), 'exact+names', 'tracepoint', []],
    ['7.x, less', pretend(t, '7.x', { without: VERIFY }), 'exact+names', 'kprobe', []],
    [
      '7.x, least',
      pretend(t, '7.x', { without: VERIFY, kprobes: false }),
      'reads',
      null,
      ['exact', 'exact+names'],
    ],
  ];
  for (const [name, { folder }, tier, checks, better] of cases) {
    const probe = probeNfsd(folder);
    assert.equal(probe.tier, tier, name);
    assert.equal(probe.checks, checks, name);
    assert.deepEqual(
      probe.better.map((one) => one.tier),
      better,
      name,
    );
  }
  const { better, kprobe } = probeNfsd(cases[1]?.[1].folder);
  assert.equal(kprobe.ok, false);
  assert.match(better[0]?.lacks ?? '', /nfsd_fh_verify .* or a kprobe .*CONFIG_KPROBE_EVENTS/);
  assert.match(better[1]?.lacks ?? '', /nfsd_vfs_lookup/);
});

test('a prepared probe is used although this process could make none', (t) => {
  const { folder, add } = pretend(t, '5.10', { kprobes: false });
  add('fhv', 'fhv_ret');
  const probe = probeNfsd(folder);
  assert.deepEqual([probe.tier, probe.checks, probe.kprobe.ok], ['exact', 'kprobe', true]);
});
