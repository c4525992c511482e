/** The generated inits as they run: by each shell that a root may have, and what they say. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';

import { programState } from '../../src/daemon/program-state.ts';
import { INIT_KINDS, type InitKind } from '../../src/image/choices.ts';
import { recordsOf } from './records-of.ts';
import { initScript } from '../../src/image/init-scripts.ts';
import { lacks } from '../capabilities.ts';
import { busyboxRoot, copyProgram, imageOf, runInit } from './init-run.ts';
import { put, run, temporaryFolder } from './support.ts';

const GENERATED = INIT_KINDS.filter((kind) => kind !== 'own');
const SHELLS = { dash: ['dash'], bash: ['bash', '--posix'], busybox: ['busybox', 'sh'] } as const;
const able = { skip: lacks('root', 'mount', 'chroot', 'busybox', 'cpio') };

for (const kind of GENERATED)
  for (const [shell, [program, ...options]] of Object.entries(SHELLS))
    it(`${kind} is a script for ${shell}`, (t) => {
      const script = join(temporaryFolder(t), 'init');
      writeFileSync(script, initScript(kind));
      run(program, [...options, '-n', script]);
    });

it('their parts tell one program from another', () => {
  for (const part of ['common', 'exec', 'root', 'rambox', 'preboot'])
    assert.match(programState(), new RegExp(`/inits/${part}\\.sh \\d`));
});

async function image(
  t: TestContext,
  kind: InitKind | undefined,
  prepare: (root: string) => void = () => undefined,
): Promise<string> {
  const root = join(temporaryFolder(t), 'root');
  busyboxRoot(root);
  prepare(root);
  return (await imageOf(root, kind)).image;
}

/** Makes another shell of this machine the root's. */
const withShell = (shell: string) => (root: string) => {
  if (shell === 'busybox') return;
  rmSync(join(root, 'bin/sh'));
  copyProgram(root, `/bin/${shell}`);
  symlinkSync(shell, join(root, 'bin/sh'));
};

for (const shell of Object.keys(SHELLS))
  describe(`exec by ${shell}`, able, () => {
    it('mounts, and starts /sbin/init as the first process with the kernel’s words', async (t) => {
      const made = await image(t, 'exec', withShell(shell));
      const said = runInit({ image: made, words: 'quiet ro init=/init', given: ['single', 'a b'] });
      assert.match(said, /^started \/sbin\/init as 1 with 2 words: single a b$/m);
      for (const what of ['proc on /proc', 'sysfs on /sys', 'devpts on /dev/pts'])
        assert.match(said, new RegExp(`^mounted ${what}$`, 'm'));
      assert.match(said, /has \/dev\/fd\nhas \/dev\/shm/);
      assert.doesNotMatch(said, /init:/);
    });

    it('starts what init= names, the last of them', async (t) => {
      const made = await image(t, 'exec', (root) => {
        withShell(shell)(root);
        put(join(root, 'opt/other'), readFileSync(join(root, 'sbin/init')));
        run('chmod', ['755', join(root, 'opt/other')]);
      });
      const said = runInit({ image: made, words: 'init=/x init=/opt/other -- init=/no *' });
      assert.match(said, /^started \/opt\/other as 1/m);
    });

    it('says why not, and is a shell', async (t) => {
      const made = await image(t, 'exec', (root) => {
        withShell(shell)(root);
        put(join(root, 'opt/plain'), 'x');
        put(join(root, 'opt/alien'), '#!/no/such/shell\n');
        run('chmod', ['755', join(root, 'opt/alien')]);
        symlinkSync('/init', join(root, 'opt/again'));
      });
      const typed = 'echo I am $$ in $PWD\n';
      for (const [init, why] of [
        ['/nope', '/nope is not in this image'],
        ['/opt/plain', '/opt/plain is not an executable file'],
        ['/opt/alien', '/opt/alien cannot be started'],
        ['/opt/again', '/opt/again is this script'],
      ] as const) {
        const said = runInit({ image: made, words: `init=${init}`, typed });
        assert.match(said, new RegExp(`init: ${why}`));
        assert.match(said, /^I am 1 in \/$/m, said);
      }
    });
  });

describe('an image that was unpacked in part', able, () => {
  it('is named by its init, which goes on', async (t) => {
    const made = await image(t, 'exec');
    const bytes = readFileSync(made);
    const records = recordsOf(bytes);
    assert.equal(records.at(-1)?.name, '.nfsroot-trace/complete');
    assert.doesNotMatch(runInit({ image: made }), /NOT WHOLE/);
    const last = records.at(-1)?.offset ?? 0;
    writeFileSync(made, bytes.subarray(0, last));
    const said = runInit({ image: made, before: 'true' });
    assert.match(said, /init: THIS IMAGE IS NOT WHOLE/);
    assert.match(said, /^started \/sbin\/init as 1/m);
  });
});

describe('rambox', able, () => {
  const typed = 'echo I am $$ in $PWD\n';

  it('is a shell at once with the word shell', async (t) => {
    const said = runInit({ image: await image(t, 'rambox'), words: 'rw shell', typed });
    assert.match(said, /init: shell, as the kernel's command line says/);
    assert.match(said, /^I am 1 in \/$/m);
  });

  it('stays in RAM with the word rambox, which its init does not see', async (t) => {
    const made = await image(t, 'rambox');
    const said = runInit({ image: made, words: 'rambox root=/dev/x', given: ['rambox', 'single'] });
    assert.match(said, /^started \/sbin\/init as 1 with 1 words: single$/m);
  });

  it('says what is wrong with root=, and is a shell', async (t) => {
    const made = await image(t, 'rambox');
    for (const [words, why] of [
      ['quiet', 'no root= on the kernel'],
      ['root=/dev/nope rootdelay=0', '/dev/nope \\(root=\\) is not there as a block device'],
      ['root=x rootfstype=nopefs', 'x \\(root=\\) cannot be mounted as nopefs'],
      ['root=x rootfstype=tmpfs', 'x has no executable /sbin/init'],
      ['root=/dev/nfs', 'nfsroot= names no directory'],
      ['root=/dev/nfs nfsroot=/only/a/directory', 'nfsroot= names no server'],
      ['nfsroot=nowhere:/roots/%s/a,vers=3', 'nowhere:/roots/client7/a cannot be mounted'],
      ['root=LABEL=no-such-label rootdelay=1', 'waiting for LABEL=no-such-label: '],
    ] as const) {
      const said = runInit({
        image: made,
        words,
        typed,
        before: `mount --bind /dev/null proc/net/pnp 2>/dev/null || true
          echo client7 >name; mount --bind name proc/sys/kernel/hostname`,
      });
      assert.match(said, new RegExp(`init: .*${why}`), said);
      assert.match(said, /^I am 1 in \/$/m);
    }
  });

  for (const shell of ['busybox', 'dash'])
    it(
      `goes over to the root on a block device by ${shell}`,
      { skip: lacks('loop') },
      async (t) => {
        const disk = await rootOnDisk(t, withShell(shell));
        const said = runInit({
          image: disk.image,
          words: 'root=/dev/disk rootfstype=ext4 rootflags=noatime rootdelay=08 ro',
          given: ['single'],
          before: disk.node,
        });
        assert.match(said, /^started \/sbin\/init as 1 with 1 words: single$/m, said);
        assert.match(said, /^mounted ext4 on \/$/m);
        assert.match(said, /^init: rootdelay=08 is not a number of seconds$/m);
        assert.match(said, /^mounted proc on \/proc$/m);
      },
    );

  for (const shell of ['busybox', 'dash'])
    it(`waits for a root that comes late, by ${shell}`, { skip: lacks('loop') }, async (t) => {
      const disk = await rootOnDisk(t, withShell(shell));
      for (const [words, why] of [
        ['root=LABEL=late rootwait rootdelay=0', /^init: waiting for LABEL=late: mount: /gm],
        ['root=LABEL=late', /^init: waiting for LABEL=late: mount: /gm],
        ['root=/dev/disk rootwait rootdelay=0', /^init: .*/gm],
      ] as const) {
        const said = runInit({
          image: disk.image,
          words: `${words} rootfstype=ext4`,
          before: `{ sleep 3; ${disk.node}; } >/dev/null 2>&1 &`,
        });
        assert.match(said, /^started \/sbin\/init as 1/m, said);
        assert.equal(said.match(why)?.length ?? 0, words.includes('LABEL') ? 1 : 0, said);
      }
    });

  for (const shell of ['busybox', 'dash'])
    it(`waits for no root that is there, by ${shell}`, { skip: lacks('loop') }, async (t) => {
      const disk = await rootOnDisk(t, withShell(shell));
      for (const wrong of ['rootfstype=nonefs', 'rootfstype=ext4 rootflags=nonesuch']) {
        const words = `root=LABEL=late rootwait ${wrong}`;
        const said = runInit({ image: disk.image, words, before: disk.node, typed: 'echo here' });
        assert.match(said, /^init: LABEL=late \(root=\) cannot be mounted as /m, said);
        assert.match(said, /^here$/m);
      }
    });
});

/** An image, and a root on a disk, whose device is there when the node is made. */
async function rootOnDisk(
  t: TestContext,
  prepare: (root: string) => void,
): Promise<{ image: string; node: string }> {
  const folder = temporaryFolder(t);
  const other = join(folder, 'other');
  busyboxRoot(other);
  // As Debian has it, and one more: absolute links, which lead nowhere in the image.
  run('mv', [join(other, 'sbin/init'), join(other, 'bin/real-init')]);
  run('rmdir', [join(other, 'sbin')]);
  run('mkdir', ['-p', ...['proc', 'sys', 'dev', 'usr/sbin'].map((name) => join(other, name))]);
  symlinkSync('/usr/./sbin', join(other, 'sbin'));
  symlinkSync('../../bin/real-init', join(other, 'usr/sbin/init'));
  const disk = join(folder, 'disk');
  run('mkfs.ext4', ['-q', '-L', 'late', '-d', other, disk, '16M']);
  const device = run('losetup', ['--find', '--show', disk]).toString().trim();
  t.after(() => run('losetup', ['--detach', device]));
  const made = await image(t, 'rambox', prepare);
  return { image: made, node: `mknod dev/disk b $(stat -c '0x%t 0x%T' ${device})` };
}

describe('preboot', able, () => {
  it('does what /config says, word for word, and goes on to root=', async (t) => {
    const made = await image(t, 'preboot', (root) => {
      put(
        join(root, 'config'),
        '# ours\nMODULES=\'nope $(touch /evil) *\'\nAOE_IFACES="lo no0"\nLINK_SETTLE=0\n' +
          'DISCOVER_SETTLE=soon\nDISCOVER_SETTLE=0\ntouch /evil\nTAIL=1',
      );
    });
    const said = runInit({
      image: made,
      words: 'root=x rootfstype=tmpfs',
      before: 'mkdir dev/etherd; : >dev/etherd/discover',
      typed: 'echo "told: $(cat /dev/etherd/discover)"; ls /; ip link show lo\n',
    });
    for (const module of ['nope', '\\$\\(touch', '/evil\\)', '\\*'])
      assert.match(said, new RegExp(`^init: module ${module} cannot be loaded`, 'm'));
    assert.match(said, /^init: interface no0 cannot be brought up/m);
    assert.match(said, /^init: \/config: DISCOVER_SETTLE=soon is not a number of seconds/m);
    assert.match(said, /^init: \/config: not understood: touch \/evil/m);
    assert.match(said, /^init: \/config: not understood: TAIL=1/m);
    assert.match(said, /^init: x has no executable \/sbin\/init/m);
    assert.match(said, /^told: 1$/m);
    assert.match(said, /lo: <LOOPBACK,UP,/);
    assert.doesNotMatch(said, /^evil$/m);
  });

  it('says when there is nothing to go by', async (t) => {
    const made = await image(t, 'preboot');
    const said = runInit({ image: made, typed: 'echo I am $$\n' });
    assert.match(said, /^init: no \/config here/m);
    assert.match(said, /^init: no root= on the kernel/m);
    assert.match(said, /^I am 1$/m);
  });
});
