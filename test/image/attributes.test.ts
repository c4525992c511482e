/** Capabilities, ACLs and other extended attributes: from a real root into RAM and back. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { attributeFile } from '../../src/image/attributes.ts';
import { NativeTree } from '../../src/fanotify-ts/tree.ts';
import { planImage } from '../../src/image/plan.ts';
import { lacks } from '../capabilities.ts';
import { busyboxRoot, copyProgram, imageOf, runInit } from './init-run.ts';
import { HOSTILE_NAMES, openTree, put, run, temporaryFolder } from './support.ts';

const FOLDERS = ['bin', 'odd', 'etc'];
const DUMP = ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', ...FOLDERS];
/** What tells of itself: its attributes, each entry's lines together. */
const TELLING_INIT = `#!/bin/sh\ncd / && echo BEGIN && getfattr ${DUMP.join(' ')} 2>/dev/null; echo END\n`;

const bytes = (text: string) => Buffer.from(text, 'latin1');
/** Each entry's lines, sorted: getfattr goes through directories in their own order. */
const blocks = (dump: string) => dump.trim().split('\n\n').sort();

/** Fills a root with real capabilities, ACLs and labels, on odd names too. */
function fillRoot(root: string): void {
  busyboxRoot(root);
  const at = (path: string) => Buffer.concat([bytes(`${root}/`), bytes(path)]);
  const label = (path: string, name: string, value: string) =>
    run('python3', [
      '-c',
      'import os,sys; os.setxattr(bytes.fromhex(sys.argv[1]), sys.argv[2], bytes.fromhex(sys.argv[3]), follow_symlinks=False)',
      at(path).toString('hex'),
      name,
      Buffer.from(value, 'latin1').toString('hex'),
    ]);
  put(join(root, 'bin/ping'), 'x');
  chmodSync(join(root, 'bin/ping'), 0o755);
  run('setcap', ['cap_net_raw,cap_net_admin+ep', join(root, 'bin/ping')]);
  run('setfacl', ['-m', 'u:1234:rw,g:77:r', join(root, 'bin/ping')]);
  mkdirSync(join(root, 'odd'));
  run('setfacl', ['-d', '-m', 'u:4321:rwx', join(root, 'odd')]);
  for (const name of HOSTILE_NAMES) {
    writeFileSync(at(`odd/${name}`), name);
    label(`odd/${name}`, 'security.label', `\0\n\xff=${name}`);
  }
  symlinkSync('nowhere', join(root, 'etc/link'));
  label('etc/link', 'security.label', 'of the link itself');
  label('etc/group', 'security.odd=name\\ x', '');
  writeFileSync(join(root, 'sbin/init'), TELLING_INIT);
  for (const name of ['getfattr', 'setfattr']) copyProgram(root, `/usr/bin/${name}`);
}

const able = { skip: lacks('root', 'mount', 'chroot', 'busybox', 'cpio', 'loop', 'python') };

describe('attributes of an image', able, () => {
  let folder: string;
  let root: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'nfsroot-trace-image-'));
    const mounted = join(folder, 'mounted');
    mkdirSync(mounted);
    run('truncate', ['-s', '32M', join(folder, 'disk')]);
    run('mkfs.ext4', ['-q', join(folder, 'disk')]);
    run('mount', ['-o', 'loop', join(folder, 'disk'), mounted]);
    root = join(mounted, 'root');
    fillRoot(root);
  });
  after(() => {
    run('umount', [join(folder, 'mounted')]);
    rmSync(folder, { recursive: true, force: true });
  });

  it('are set again by a generated init, all of them', async () => {
    const { plan, image } = await imageOf(root, 'exec');
    assert.equal(plan.attributes?.restored, true);
    assert.deepEqual(plan.notCarried, []);
    // Capability, ACL, default ACL; each hostile name its label and the ACL that the directory gave.
    assert.equal(plan.attributes.count, 3 + 2 * HOSTILE_NAMES.length + 2);
    const said = runInit({ image });
    const before = run('getfattr', DUMP, { cwd: root }).toString('latin1');
    const after = /BEGIN\n([^]*)END\n/.exec(said)?.[1] ?? said;
    assert.deepEqual(blocks(after), blocks(before));
    assert.doesNotMatch(said, /init:/);
    assert.match(before, /security\.capability=0x/);
  });

  it('are as setfattr --restore reads them, whatever the names', async (t) => {
    const { image } = await imageOf(root, 'own');
    const copy = temporaryFolder(t);
    run('sh', ['-ec', `mount -t tmpfs tmpfs "$0"`, copy]);
    try {
      run('cpio', ['-idm', '--quiet'], { cwd: copy, input: readFileSync(image) });
      run('setfattr', ['-h', '--restore=.nfsroot-trace/attributes'], { cwd: copy });
      const dump = (of: string) => blocks(run('getfattr', DUMP, { cwd: of }).toString('latin1'));
      assert.deepEqual(dump(copy), dump(root));
      assert.match(run('getcap', [join(copy, 'bin/ping')]).toString(), /cap_net_admin,cap_net_raw/);
      assert.match(run('getfacl', ['-cn', 'bin/ping'], { cwd: copy }).toString(), /user:1234:rw-/);
    } finally {
      run('umount', [copy]);
    }
  });

  it('are named by the init that has no setfattr', async () => {
    rmSync(join(root, 'usr/bin/setfattr'));
    const { plan, image } = await imageOf(root, 'rambox');
    assert.equal(plan.attributes?.restored, false);
    assert.match(runInit({ image, words: 'rambox' }), /init: no setfattr here/);
  });

  it('do not count busybox’s setfattr, which cannot restore', async () => {
    symlinkSync('busybox', join(root, 'bin/setfattr'));
    assert.equal((await imageOf(root, 'exec')).plan.attributes?.restored, false);
  });

  it('come with all that they need, which may have attributes itself', async () => {
    rmSync(join(root, 'bin/setfattr'));
    copyProgram(root, '/usr/bin/setfattr');
    run('setcap', ['cap_chown+ep', join(root, 'usr/bin/setfattr')]);
    const tree = NativeTree.open(root);
    const files = [{ path: bytes('bin/ping'), operations: 16 }];
    const plan = await planImage({ tree, files, init: 'exec' });
    tree.close();
    const side = plan.entries.find((one) => one.path.equals(bytes('.nfsroot-trace/attributes')));
    assert.match(side?.content?.toString() ?? '', /^# file: usr\/bin\/setfattr$/m);
    assert.ok(plan.entries.some((one) => one.path.equals(bytes('usr/bin/setfattr'))));
    assert.equal(plan.attributes?.entries, 2);
  });
});

describe('one attribute', able, () => {
  it('is read whole, never through a link, never from what is not there', (t) => {
    const folder = temporaryFolder(t);
    run('mount', ['-t', 'tmpfs', 'tmpfs', folder]);
    try {
      const big = Buffer.alloc(60_000, 'big');
      put(join(folder, 'root/d/file'), 'x');
      put(join(folder, 'outside/file'), 'x');
      symlinkSync('file', join(folder, 'root/d/link'));
      symlinkSync('../outside', join(folder, 'root/out'));
      const set = (path: string, value: Buffer) => {
        const code =
          'import os,sys; os.setxattr(sys.argv[1], "security.x", sys.stdin.buffer.read())';
        run('python3', ['-c', code, join(folder, path)], { input: value });
      };
      set('root/d/file', big);
      set('outside/file', Buffer.from('outside'));
      const tree = openTree(t, join(folder, 'root'));
      assert.deepEqual(tree.attribute(bytes('d/file'), 'security.x'), big);
      assert.equal(tree.attribute(bytes('d/file'), 'security.y'), null);
      assert.equal(tree.attribute(bytes('d/link'), 'security.x'), null);
      assert.throws(() => tree.attribute(bytes('out/file'), 'security.x'), { code: 'not-in-root' });
      assert.throws(() => tree.attribute(bytes('../outside/file'), 'security.x'));
      assert.throws(() => tree.attribute(bytes('gone'), 'security.x'), { code: 'not-in-root' });
      tree.close();
    } finally {
      run('umount', [folder]);
    }
    assert.ok(!existsSync(join(folder, 'root')));
  });
});

it('the side file: paths and names escaped, values in hex, the root as a dot', () => {
  const row = (path: string, name: string, value: string) => ({ path, name, value: bytes(value) });
  const text = attributeFile([
    row('', 'security.a', ''),
    row('a b\\\n\xff', 'user.x=y', '\0\xff'),
    row('a b\\\n\xff', 'user.z', 'z'),
  ]).toString('latin1');
  assert.equal(
    text,
    '# file: .\nsecurity.a=0x\n\n' +
      '# file: a\\040b\\134\\012\\377\nuser.x\\075y=0x00ff\nuser.z=0x7a\n\n',
  );
});
