/**
 * Runs in the lab's server: records what a real kernel's rings hold, with the text form of the same
 * events beside it, for test/fixtures/nfsd-*.
 *
 *     record-fixture.ts OUT 'NAME=COMMAND'...      writes OUT/formats/*.format, OUT/NAME.records,
 *                                                  OUT/trace.txt
 *
 * Owns the choice of events: all that a plan may want, the kprobe's where it can be had.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createProbe, PREPARED_PROBE, removeProbe } from '../../../src/capture/fh-probe.ts';
import { nfsdAddon } from '../../../src/capture/nfsd-binding.ts';

const TRACEFS = '/sys/kernel/tracing';
const INSTANCE = `${TRACEFS}/instances/fixture`;

const clid =
  'fresh confirmed confirmed_r destroyed verf_mismatch replaced stale expire_unconf purged reclaim_complete';
const EVENTS = [
  'sunrpc/svc_process',
  ...['fh_verify', 'fh_verify_err', 'vfs_lookup', 'read_start', 'read_io_done'].map(
    (name) => `nfsd/nfsd_${name}`,
  ),
  ...['write_start', 'write_io_done'].map((name) => `nfsd/nfsd_${name}`),
  ...clid.split(' ').map((name) => `nfsd/nfsd_clid_${name}`),
  `nfsroot_trace/${PREPARED_PROBE}`,
  `nfsroot_trace/${PREPARED_PROBE}_ret`,
];

const [out = '', ...steps] = process.argv.slice(2);
createProbe(TRACEFS, PREPARED_PROBE);
const there = EVENTS.filter((event) => existsSync(`${TRACEFS}/events/${event}/format`));
mkdirSync(`${out}/formats`, { recursive: true });
const ids = there.map((event) => {
  const text = readFileSync(`${TRACEFS}/events/${event}/format`, 'latin1');
  writeFileSync(`${out}/formats/${event.split('/')[1] ?? ''}.format`, text, 'latin1');
  return { id: nfsdAddon.parseTraceFormat(text).id };
});
mkdirSync(INSTANCE);
writeFileSync(`${INSTANCE}/buffer_size_kb`, '4096');
for (const event of there) writeFileSync(`${INSTANCE}/events/${event}/enable`, '1');
const reader = new nfsdAddon.TracepointReader(ids, 1 << 20, true);
reader.start();
for (const step of steps) {
  const [, name = '', command = ''] = /^(\S+)=(.*)$/s.exec(step) ?? [];
  execFileSync('sh', ['-ec', command], { stdio: 'inherit' });
  writeFileSync(`${out}/${name}.records`, reader.read());
}
reader.disable();
const losses = reader.losses(true);
if (losses.length > 0) throw new Error(`lost: ${JSON.stringify(losses)}`);
reader.close();
writeFileSync(`${out}/trace.txt`, readFileSync(`${INSTANCE}/trace`));
execFileSync('rmdir', [INSTANCE]);
removeProbe(TRACEFS, PREPARED_PROBE);
