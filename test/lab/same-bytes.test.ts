/**
 * Two machines, the same bytes: every format and compression on this one, and on one with another
 * processor, one only, another kernel, clock, time zone, locale, user and mask, of a copy of the root
 * that was made in another order on a file system with another hash of names.
 */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ImageReport } from '../../src/daemon/image-report.ts';
import { lacks } from '../capabilities.ts';
import {
  assertSame,
  assertWhole,
  EXPORTS,
  makeSameRoot,
  type Made,
  packShuffled,
  recordSessions,
  UNPACK,
} from '../support/same-image.ts';
import { TraceSandbox } from '../support/trace-sandbox.ts';
import { GUEST_SHARE, LabServer } from './server.ts';

/** Of the guest, readable by anybody: the copy, the database, the checkout and Node. */
const THERE = '/run/same';
const MADE = `${GUEST_SHARE}/made`;
/** Neither root nor known there; may read what root may. */
const SOMEBODY = [
  ...['setpriv', '--reuid=4321', '--regid=1234', '--clear-groups'],
  ...['--inh-caps=-all,+dac_read_search', '--ambient-caps=-all,+dac_read_search'],
].join(' ');
const PATIENCE_MS = 600_000;

const able = lacks('root', 'qemu', 'debootstrap', 'busybox');
describe('the same bytes on two machines', { skip: able }, () => {
  const sandbox = new TraceSandbox();
  const server = new LabServer({
    ports: 1,
    cpus: 1,
    // A processor without SSE 4 and AVX: compressors choose their ways by that.
    hardware: ['-cpu', 'qemu64', '-rtc', 'base=2031-05-06T07:08:09'],
  });
  const root = sandbox.at('root');
  const here = sandbox.at('one');
  /** With the commands' statuses. */
  const madeThere: (Made & { readonly code: string | undefined })[] = [];

  before(async () => {
    mkdirSync(here);
    makeSameRoot(root);
    recordSessions(sandbox.database, root);
    await server.start();
    packShuffled(root, path.join(server.share, 'root.tar'));
    copyFileSync(sandbox.database, path.join(server.share, 'trace.db'));
    // The copy is where the root was recorded, so that what names it names the same place.
    await server.must(
      `set -e; . ${GUEST_SHARE}/lab.env
      umask 022; mkdir -p ${THERE}/copy ${THERE}/repository ${THERE}/node ${root}; cd ${THERE}
      mount --bind "$LAB_REPOSITORY" repository; mount --bind "$LAB_NODE_FOLDER" node
      modprobe loop; truncate -s 200M disk
      mkfs.ext4 -q -b 4096 -E hash_seed=01234567-89ab-cdef-0123-456789abcdef disk
      mount -o loop disk copy; mkdir copy/root
      (cd copy/root && ${UNPACK.join(' ')} ${GUEST_SHARE}/root.tar)
      mount --bind copy/root ${root}
      cp ${GUEST_SHARE}/trace.db .; mkdir ${MADE}; chown 4321:1234 ${MADE}`,
      { timeoutMs: PATIENCE_MS },
    );
    madeThere.push(...(await exportThere()));
  });
  after(async () => {
    await server.stop();
    await sandbox.remove();
  });

  async function exportThere(): Promise<typeof madeThere> {
    const words = EXPORTS.map(({ args }) => [...args, '--db', `${THERE}/trace.db`]);
    const said = await server.run(
      `umask 077; cd ${MADE}; exec env -i PATH=/usr/bin:/bin TZ=America/Caracas LC_ALL=ja_JP.eucJP \
        ${SOMEBODY} ${THERE}/node/node ${THERE}/repository/test/lab/guest/commands.ts \
        '${JSON.stringify(words)}'`,
      { timeoutMs: PATIENCE_MS },
    );
    const [outputs, errors] = [said.stdout.split('\0'), said.stderr.split('\0')];
    return EXPORTS.map((_, index) => ({
      folder: path.join(server.share, 'made'),
      code: outputs[2 * index + 1],
      stdout: outputs[2 * index] ?? '',
      stderr: errors[index] ?? '',
    }));
  }

  test('it is another machine', async () => {
    const told = await server.must('nproc; date +%Y; grep -c sse4_2 /proc/cpuinfo || true');
    assert.equal(told, '1\n2031\n0\n');
  });

  for (const [index, one] of EXPORTS.entries())
    test(one.output, async () => {
      const { text, stderr } = await sandbox.ok([...one.args, '--db', sandbox.database], {
        prefix: ['sh', '-c', 'cd one && exec "$@"', 'sh'],
        env: { TZ: 'Asia/Kathmandu', LC_ALL: 'tr_TR.ISO-8859-9' },
      });
      const again = madeThere[index];
      assert.equal(again?.code, '0', again?.stderr);
      assertSame(one, { folder: here, stdout: text, stderr }, again);
      const { compression, drift } = JSON.parse(text) as ImageReport;
      assert.ok((compression?.frames ?? 4) >= 4, 'some frames are made at once');
      assert.deepEqual(drift, [], 'a copy with its times is no drift');
    });

  test('nothing else was written', () => {
    assertWhole(here);
    assertWhole(path.join(server.share, 'made'));
  });
});
