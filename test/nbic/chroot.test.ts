/** `nbic -d DIR -o IMAGE` and `nd DIR`: a person in the root, then the image of what that took. */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { recordsOf } from '../image/records-of.ts';
import { LocalRig, NEEDED, type Root } from '../local/local-rig.ts';
import type { RunOptions } from '../support/trace-sandbox.ts';

const PROGRAMS = ['bash', 'cat', 'ls', 'env', 'mount', 'umount'];

describe('nbic in the root', { skip: lacks(...NEEDED) }, () => {
  let rig: LocalRig;
  let sarge: Root;
  before(() => {
    rig = new LocalRig();
    sarge = rig.makeRoot('sarge', PROGRAMS);
  });
  after(() => rig.remove());

  const at = (name: string): string => join(dirname(sarge.path), name);
  const inRoots = (line: string, options?: RunOptions) =>
    rig.sandbox.tryScript(dirname(sarge.path), line, options);
  const namesIn = (image: string): Set<string> =>
    new Set(recordsOf(readFileSync(at(image))).map(({ name }) => name));

  test('quick start: bash, cat and ls, typed at its shell', async () => {
    const typed = "printf 'cat /etc/motd\\nls /etc\\nfalse\\n'";
    const { code, text, stderr } = await inRoots(`${typed} | nbic -d sarge/ -o bash.cpio`);
    // The shell's own status is that of `false`.
    assert.equal(code, 0, stderr);
    assert.match(text, /^welcome\nmotd\nunused\nbash\.cpio: \d+ entries, .*, of session-1\n$/);
    const names = namesIn('bash.cpio');
    for (const name of [...sarge.loaded('bash', 'cat', 'ls'), 'etc/motd', 'dev/console'])
      assert.ok(names.has(name), name);
    for (const name of ['etc/unused', 'usr/bin/mount', 'usr/bin/env'])
      assert.ok(!names.has(name), name);
  });

  test('once more from the session: the very same image', async () => {
    const { code, stderr } = await inRoots('trace export session-1 -o again.cpio');
    assert.equal(code, 0, stderr);
    assert.ok(readFileSync(at('again.cpio')).equals(readFileSync(at('bash.cpio'))));
  });

  test('/chroot is run as it always was: it mounts, enters a shell, and unmounts', async () => {
    const script = `#!/bin/bash
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devpts devpts /dev/pts
env -i HOME=/root LOGNAME=root PATH=/bin bash
umount /dev/pts
umount /sys
umount /proc
`;
    writeFileSync(join(sarge.path, 'chroot'), script);
    chmodSync(join(sarge.path, 'chroot'), 0o755);
    const typed = "echo 'echo $HOME of $LOGNAME; cat /etc/motd'";
    const { code, text, stderr } = await inRoots(`${typed} | nbic -d sarge/ -o chroot.cpio`);
    assert.equal(code, 0, stderr);
    assert.match(text, /^\/root of root\nwelcome\n/);
    const names = namesIn('chroot.cpio');
    for (const name of ['chroot', ...sarge.loaded('bash', 'cat', 'env', 'mount', 'umount')])
      assert.ok(names.has(name), name);
    assert.ok(!names.has('usr/bin/ls'));
  });

  test('nd enters the same way, and its status is the command’s', async () => {
    writeFileSync(join(sarge.path, 'chroot'), '#!/bin/bash\ncat /etc/motd\nexit 7\n');
    const { code, text, stderr } = await inRoots('nd sarge');
    assert.equal(code, 7, stderr);
    assert.equal(text, 'welcome\n');
    assert.match(stderr, /^recorded session-\d+$/m);
  });

  test('an image that cannot be written is refused before anybody works for it', async () => {
    for (const [output, code, said] of [
      ['no/x.cpio', 73, /no\/x\.cpio/],
      ['-', 64, /standard output/],
      ['x.cpio --if-changed', 64, /--if-changed is for lists/],
    ] as const) {
      const ran = await inRoots(`echo 'echo in the root' | nbic -d sarge -o ${output}`);
      assert.match(ran.stderr, said);
      assert.match(ran.stderr, /^error: .*\nhint: .*\n$/);
      assert.equal(ran.code, code);
      assert.equal(ran.text, '');
    }
  });

  test('an ordinary user is told that it takes root', async () => {
    const nbic = join(import.meta.dirname, '../../dist/cli/nbic/nbic.cjs');
    const { code, stderr } = await rig.sandbox.execute([
      ...(rig.sandbox.asNobody() as [string]),
      process.execPath,
      nbic,
      ...['-d', sarge.path, '-o', '/dev/null'],
    ]);
    assert.match(stderr, /^error: only root can run a command in a root\nhint: /m);
    assert.equal(code, 77);
  });
});
