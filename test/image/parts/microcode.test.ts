/** Microcode of the root in an archive that the kernel finds before it unpacks anything. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { recordsOf } from '../records-of.ts';
import { PartFile } from '../../../src/image/parts/part-file.ts';
import type { ImagePlan } from '../../../src/image/plan.ts';
import type { TreeStat } from '../../../src/image/tree.ts';
import { MemoryTree, type Node } from '../memory-tree.ts';
import { openTree, planAll, put, run, temporaryFolder } from '../support.ts';
import { planImage } from '../../../src/image/plan.ts';

const intel = (text: string): string => `\x01\0\0\0${text}`.padEnd(1024, '.');
const amd = (text: string): string => `DMA\0${text}`;

const planOf = (nodes: Readonly<Record<string, Node>>): Promise<ImagePlan> =>
  planImage({
    files: [],
    tree: new MemoryTree({ init: { mode: 0o755 }, ...nodes }),
    mountPoints: [],
    devices: [],
    earlyMicrocode: true,
  });

/**
 * What find_cpio_data() of the kernel (lib/earlycpio.c) gives: where the data of a file is, by the
 * beginning of its name, without regard to ends of archives.
 */
function find(archive: Buffer, path: string): { at: number; data: Buffer } | null {
  for (let at = 0; at + 110 < archive.length;) {
    if (archive[at] === 0) {
      at += 4;
      continue;
    }
    const field = (index: number) =>
      Number.parseInt(archive.toString('latin1', at + 6 + 8 * index, at + 14 + 8 * index), 16);
    if (!/^07070[12]$/.test(archive.toString('latin1', at, at + 6))) return null;
    const [mode, size, nameSize] = [field(1), field(6), field(11)];
    const data = (at + 110 + nameSize + 3) & ~3;
    const next = (data + size + 3) & ~3;
    if (next > archive.length) return null;
    const name = archive.toString('latin1', at + 110, at + 110 + path.length);
    if ((mode & 0o170000) === 0o100000 && nameSize >= path.length && name === path)
      return { at: data, data: archive.subarray(data, data + size) };
    at = next;
  }
  return null;
}

const INTEL = 'kernel/x86/microcode/GenuineIntel.bin';
const AMD = 'kernel/x86/microcode/AuthenticAMD.bin';

describe('--early-microcode', () => {
  it('has the files of both makers, in order, where the processor takes them', async () => {
    const { microcode, problems } = await planOf({
      'lib/firmware/intel-ucode/06-8c-01': intel('second'),
      'lib/firmware/intel-ucode/06-0f-0a': intel('first'),
      'lib/firmware/intel-ucode/old': { to: '06-8c-01' },
      'lib/firmware/amd-ucode/microcode_amd_fam17h.bin': amd('17'),
      'lib/firmware/amd-ucode/microcode_amd.bin': amd('any'),
      'lib/firmware/amd-ucode/README': 'for people',
      'lib/firmware/amd-ucode/microcode_amd.bin.asc': 'a signature',
    });
    assert.ok(microcode !== null);
    assert.deepEqual(problems, []);
    assert.equal(microcode.length % 512, 0);
    const first = find(microcode, INTEL);
    const second = find(microcode, AMD);
    assert.equal(
      first?.data.toString('latin1'),
      intel('first') + intel('second') + intel('second'),
    );
    assert.equal(second?.data.toString('latin1'), amd('any') + amd('17'));
    for (const found of [first, second]) assert.equal(found.at % 16, 0);
    const records = recordsOf(microcode);
    assert.deepEqual(
      records.map(({ name, mode, mtime }) => `${name} ${mode.toString(8)} ${mtime}`),
      [
        ...['kernel', 'kernel/x86', 'kernel/x86/microcode'].map((name) => `${name} 40755 0`),
        `${AMD} 100644 0`,
        `${INTEL} 100644 0`,
      ],
    );
  });

  it('is made of a real root through its links, and cpio and bsdcpio unpack it', async (t) => {
    const { folder, microcode } = await onDisk(t);
    assert.ok(microcode !== null);
    const archive = join(folder, 'microcode.cpio');
    put(archive, microcode);
    await (await PartFile.open(archive, { early: true })).close();
    for (const tool of ['cpio', 'bsdcpio']) {
      const cwd = join(folder, tool);
      mkdirSync(cwd);
      run(tool, ['-i', '--quiet'], { cwd, input: microcode });
      assert.equal(readFileSync(join(cwd, INTEL), 'latin1'), intel('a') + intel('b'));
    }
    assert.ok((await onDisk(t)).microcode?.equals(microcode));
  });

  async function onDisk(t: TestContext) {
    const folder = temporaryFolder(t);
    const root = join(folder, 'root');
    put(join(root, 'init'), '');
    chmodSync(join(root, 'init'), 0o755);
    put(join(root, 'usr/share/microcode/b'), intel('b'));
    put(join(root, 'usr/lib/firmware/intel-ucode/a'), intel('a'));
    put(join(root, 'usr/lib/firmware/amd-ucode/README'), '');
    symlinkSync('usr/lib', join(root, 'lib'));
    symlinkSync('/usr/share/microcode/b', join(root, 'usr/lib/firmware/intel-ucode/b'));
    // Out of the root, to what the server has.
    put(join(folder, 'secret'), intel('not of the root'));
    symlinkSync('../../../../../secret', join(root, 'usr/lib/firmware/intel-ucode/c'));
    run('mkfifo', ['-m', '644', join(root, 'usr/lib/firmware/intel-ucode/d')]);
    const tree = openTree(t, root);
    return { folder, ...(await planAll(root, tree, { earlyMicrocode: true })) };
  }

  it('leaves out what is none, and says so', async () => {
    const { microcode, problems } = await planOf({
      'lib/firmware/intel-ucode/06-0f-0a': intel('good'),
      'lib/firmware/intel-ucode/06-0f-0b.xz': '\xfd7zXZ\0',
      'lib/firmware/intel-ucode/LICENSE': 'words',
      'lib/firmware/intel-ucode/huge': intel('x').padEnd((4 << 20) + 1024, '.'),
      'lib/firmware/amd-ucode/microcode_amd.bin.zst': '\x28\xb5\x2f\xfd',
    });
    assert.equal(find(microcode ?? Buffer.alloc(0), INTEL)?.data.length, 1024);
    assert.equal(find(microcode ?? Buffer.alloc(0), AMD), null);
    const [problem] = problems;
    assert.equal(problem?.code, 'not-microcode');
    assert.match(
      problem.message,
      /^4 files .*the first is \/lib\/firmware\/amd-ucode\/microcode_amd\.bin\.zst: it does not/,
    );
  });

  it('is not made of a file that changes while it is read', async () => {
    class Changing extends MemoryTree {
      #read = false;
      override read(path: Buffer, offset: number, length: number): Buffer {
        this.#read = true;
        return super.read(path, offset, length);
      }
      override lstat(path: Buffer): TreeStat | null {
        const stat = super.lstat(path);
        return stat && this.#read ? { ...stat, ctimeNsec: 1 } : stat;
      }
    }
    const tree = new Changing({ 'lib/firmware/intel-ucode/a': intel('a') });
    const planned = planImage({ files: [], tree, earlyMicrocode: true });
    await assert.rejects(planned, { code: 'drift', message: /intel-ucode\/a changed while/ });
  });

  it('is nothing in a root that has none, which is a problem; nor without the option', async () => {
    const { microcode, problems } = await planOf({ 'lib/firmware/amd-ucode': { to: '/nowhere' } });
    assert.equal(microcode, null);
    assert.deepEqual(
      problems.map(({ code }) => code),
      ['no-microcode'],
    );
    const tree = new MemoryTree({ 'lib/firmware/intel-ucode/a': intel('a') });
    assert.equal((await planImage({ files: [], tree })).microcode, null);
  });
});
