/**
 * Two people and two file systems, the same bytes: every format and compression, by root and by
 * another user, each in a time zone, locale, folder and mask of their own, with other processors, of
 * a root and of its copy on another file system, made in another order.
 */
import assert from 'node:assert/strict';
import { chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ImageReport } from '../../src/daemon/image-report.ts';
import { lacks } from '../capabilities.ts';
import { run } from '../image/support.ts';
import { makeFileSystem, type MountedFileSystem } from '../index/file-systems.ts';
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
import { checkExport } from '../support/check-export.ts';
import { TraceSandbox, type RunOptions } from '../support/trace-sandbox.ts';

const NOBODY = 65_534;

describe('the same bytes for two', { skip: lacks('root', 'btrfs', 'mount', 'busybox') }, () => {
  const sandbox = new TraceSandbox();
  let disk: MountedFileSystem;
  let root: Person;
  let nobody: Person;

  interface Person extends RunOptions {
    readonly folder: string;
  }

  before(() => {
    disk = makeFileSystem('btrfs');
    const tree = sandbox.at('root');
    makeSameRoot(tree);
    recordSessions(sandbox.database, tree);
    const copy = join(disk.path, 'copy');
    mkdirSync(copy);
    packShuffled(tree, sandbox.at('root.tar'));
    const [program = '', ...words] = UNPACK;
    run(program, [...words, sandbox.at('root.tar')], { cwd: copy });
    root = person('one', 0, {
      env: { TZ: 'Pacific/Kiritimati', LC_ALL: 'tr_TR.ISO-8859-9', LANG: 'ja_JP.eucJP' },
      prefix: ['sh', '-c', 'umask 027 && cd one && exec "$@"', 'sh'],
    });
    // The copy is where the root was recorded, so that what names it names the same place.
    const script = `mount --bind '${copy}' '${tree}' && umask 077 && cd other && exec "$@"`;
    nobody = person('other', NOBODY, {
      env: { TZ: 'America/St_Johns', LC_ALL: 'C', UV_THREADPOOL_SIZE: '2' },
      prefix: [
        ...['unshare', '--mount', 'sh', '-c', script, 'sh', 'taskset', '--cpu-list', '0'],
        ...sandbox.asNobody('dac_read_search'),
      ],
    });
  });
  after(async () => {
    await sandbox.remove();
    disk.remove();
  });

  function person(name: string, owner: number, options: RunOptions): Person {
    const folder = sandbox.at(name);
    mkdirSync(folder);
    chownSync(folder, owner, owner);
    return { ...options, folder };
  }

  for (const one of EXPORTS)
    test(one.output, async () => {
      const make = async (by: Person): Promise<Made> => {
        const { stdout, stderr } = await sandbox.ok([...one.args, '--db', sandbox.database], by);
        return { folder: by.folder, stdout: stdout.toString(), stderr };
      };
      const [made, again] = await Promise.all([make(root), make(nobody)]);
      assertSame(one, made, again);
      await checkExport({ args: one.args, folder: made.folder, stdout: Buffer.from(made.stdout) });
      const { compression, drift, attributes, not_carried } = JSON.parse(
        made.stdout,
      ) as ImageReport;
      assert.ok((compression?.frames ?? 4) >= 4, 'some frames are made at once');
      assert.deepEqual(drift, [], 'a copy with its times is no drift');
      assert.deepEqual(not_carried, []);
      assert.ok(attributes !== null || one.output === 'kernel.list');
    });

  test('nothing else was written', () => {
    assertWhole(root.folder);
    assertWhole(nobody.folder);
  });
});
