/**
 * For a person: records test/fixtures/nfsd-KERNEL on the lab's server of that kernel.
 *
 *     node test/lab/record-fixture.ts 5.10 6.12 7.x
 *
 * Two clients mount over v3 and v4.2, read, list, follow links, miss names, are refused, and hold a
 * handle whose file is gone. `text-*.json` is what the kernel's text form of the same events says.
 */
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { countsOfText } from '../nfsd/text-trace.ts';
import { KERNELS, labKernel } from './kernels.ts';
import { LabClient, quoted } from './lab-client.ts';
import { GUEST_SHARE, LabServer, VICTIM_ROOT } from './server.ts';

const FIXTURES = path.join(import.meta.dirname, '../fixtures');
const NAMES = ['c1', 'c2'];

/** Mounts in the client's network, does something in its root, unmounts. */
function visit(name: string, version: '3' | '4.2', shell: string): string {
  const where = version === '3' ? VICTIM_ROOT : VICTIM_ROOT.replace('/nfsroots', '');
  const options = `ro,vers=${version}${version === '3' ? ',nolock' : ''}`;
  return [
    `mkdir -p /visit/${name}`,
    `nsenter --net=/run/netns/${name}.1 mount -t nfs -o ${options} 10.77.0.1:${where} /visit/${name}`,
    `(set +e; cd /visit/${name}; ${shell}) >/dev/null 2>&1`,
    `umount /visit/${name}`,
  ].join('; ');
}

const WORK = [
  'cat etc/fstab etc/nope etc/lab/none',
  'readlink bin lib',
  'ls -l etc/lab',
  'setpriv --reuid 1000 --clear-groups cat etc/shadow',
  'true',
].join('; ');
const gone = `${VICTIM_ROOT}/gone`;
const STALE = `exec 3<gone; rm ${gone}; dd bs=4096 iflag=direct <&3; true`;

const steps = {
  v3: NAMES.map((name) => visit(name, '3', WORK)).join('; '),
  'v4.2': NAMES.map((name) => visit(name, '4.2', WORK)).join('; '),
  stale: `echo here >${gone}; ${visit('c1', '3', STALE)}`,
};

for (const name of process.argv.slice(2)) {
  const kernel = labKernel(name);
  const server = new LabServer({ kernel });
  await server.start();
  try {
    for (const [index, client] of NAMES.entries())
      await new LabClient({ server, name: client, address: `10.77.0.${21 + index}` }).powerOn();
    const told = Object.entries(steps).map(([step, shell]) => quoted(`${step}=${shell}`));
    await server.must(
      `node test/lab/guest/record-fixture.ts ${GUEST_SHARE}/fixture ${told.join(' ')}`,
      { timeoutMs: 180_000 },
    );
    const folder = path.join(FIXTURES, `nfsd-${KERNELS[kernel]}`);
    await rm(folder, { recursive: true, force: true });
    await cp(path.join(server.share, 'fixture'), folder, { recursive: true });
    const text = await readFile(path.join(folder, 'trace.txt'), 'latin1');
    await rm(path.join(folder, 'trace.txt'));
    for (const checks of ['nfsd_fh_verify', 'fhv'] as const) {
      if (!text.includes(` ${checks}: `)) continue;
      await writeFile(
        path.join(folder, `text-${checks}.json`),
        `${JSON.stringify(countsOfText(text, checks), null, 1)}\n`,
      );
    }
  } finally {
    await server.stop();
  }
}
