/** A root may be on any file system whose files can be opened by handle; another is refused. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { cannotMake, type FileSystemKind } from '../index/file-systems.ts';
import { LocalRig, NEEDED } from './local-rig.ts';

const APPLETS = ['sh', 'cat', 'ls', 'ln', 'mkdir', 'mv'];

/** A new name for an old file, new files by old names, a directory that moves. */
const WORK = [
  'ln /etc/motd /etc/second && cat /etc/second',
  'echo new > /etc/new && ln /etc/new /etc/newer && cat /etc/newer',
  'mv /srv /moved && cat /moved/deep/file',
];

describe('trace run on', { skip: lacks(...NEEDED, 'busybox') }, () => {
  for (const kind of ['xfs', 'btrfs', 'tmpfs'] as const satisfies readonly FileSystemKind[])
    test(kind, { skip: cannotMake(kind) }, async (t) => {
      const rig = new LocalRig(kind);
      t.after(() => rig.remove());
      if (kind === 'btrfs') makeSubvolume(rig.disk.path);
      const root = rig.makeBusybox(kind === 'btrfs' ? 'volume/root' : 'root', APPLETS);
      mkdirSync(join(root.path, 'srv/deep'), { recursive: true });
      execFileSync('sh', ['-c', `echo deep > '${root.path}/srv/deep/file'`]);
      const { session, ran } = await rig.record(root, ['sh', '-ec', WORK.join('\n')]);
      assert.equal(ran.text, 'welcome\nnew\ndeep\n', ran.stderr);
      const read = ['usr/bin/busybox', 'etc/motd', 'etc/new', 'moved/deep/file'];
      assert.deepEqual([...(await rig.read(session))].sort(), read.sort());
      const image = rig.sandbox.at('image.cpio');
      await rig.sandbox.ok(['export', session, '-o', image]);
      const inside = new Set((await rig.sandbox.ok(['image', 'list', image])).text.split('\n'));
      for (const path of ['etc/second', 'moved/deep/file']) assert.ok(inside.has(path), path);
      for (const path of ['etc/new', 'etc/newer']) assert.ok(!inside.has(path), path);
    });

  test(
    'an overlay that gives no handles: no; one that gives them: yes',
    { skip: lacks('overlay') },
    async (t) => {
      const rig = new LocalRig();
      t.after(() => rig.remove());
      const { path: lower } = rig.makeBusybox('lower', APPLETS);
      const at = (name: string): string => join(rig.disk.path, name);
      for (const name of ['upper', 'work', 'merged']) mkdirSync(at(name));
      const layers = `lowerdir=${lower},upperdir=${at('upper')},workdir=${at('work')}`;
      const mount = (options: string): void =>
        void execFileSync('mount', ['-t', 'overlay', 'none', '-o', options, at('merged')]);
      mount(layers);
      try {
        await rig.sandbox.fails(['run', '--root', at('merged'), '--', 'ls'], {
          code: 69,
          message: /cannot watch the files of the root: its file system has no file handles/,
          hint: /index=on,nfs_export=on/,
        });
        execFileSync('umount', [at('merged')]);
        mount(`${layers},index=on,nfs_export=on`);
        await rig.sandbox.ok(['run', '--root', at('merged'), '--', 'cat', '/etc/motd']);
      } finally {
        execFileSync('umount', [at('merged')]);
      }
    },
  );
});

function makeSubvolume(top: string): void {
  execFileSync('btrfs', ['subvolume', 'create', join(top, 'volume')], { stdio: 'pipe' });
}
