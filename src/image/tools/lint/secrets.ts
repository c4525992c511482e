/** What should not be the same on every machine, or be read by all who can fetch the image. */
import { toBytes } from '../../resolve.ts';
import type { TreeNode } from '../kernel-tree.ts';
import { FILE } from '../record.ts';
import { fault, type Fault, type Linted, note } from './fault.ts';
import { hasPrivateKey } from './private-keys.ts';

/** More than a machine's identity is. */
const BEGINNING = 64;
const IDENTITIES = ['etc/machine-id', 'var/lib/dbus/machine-id'];
const SEEDS = ['var/lib/systemd/random-seed', 'var/lib/urandom/random-seed'];
/** `uninitialized` is what an image should have. */
const MACHINE_ID = /^[0-9a-f]{32}\s*$/;
/**
 * crypt(5): with a `$`, BSDI's, DES. A lock is a sign before it, which does not hide it; but what
 * systemd-sysusers(8) puts behind one has a DES hash's length only.
 */
const HASH =
  /^[^:\n]*:[!*]*(?!unprovisioned(?::|$))(?:\$[^:\n]|(?:_[./0-9A-Za-z]{19}|[./0-9A-Za-z]{13})(?::|$))/m;

export function* secretFaults({ image, files }: Linted): Generator<Fault> {
  // A file may have any number of names.
  const known = new Map<TreeNode, boolean>();
  for (const [path, node] of image.kernelTree.entries()) {
    if (node.type !== FILE) continue;
    if ((node.mode & 0o6000) !== 0)
      yield note('set-id', path, `mode ${node.mode.toString(8)}, owner ${node.uid}:${node.gid}`);
    const read = (offset: number, length: number) => image.tree.read(toBytes(path), offset, length);
    const isKey = known.get(node) ?? hasPrivateKey(read);
    known.set(node, isKey);
    if (isKey)
      yield fault('private-key', path, 'a private key: whoever can fetch the image has it');
    if (IDENTITIES.includes(path) && MACHINE_ID.test(read(0, BEGINNING).toString('latin1')))
      yield fault('machine-id', path, 'all machines with this image have the same one');
    if (SEEDS.includes(path) && node.size > 0)
      yield fault('random-seed', path, 'all machines with this image begin with the same one');
  }
  const shadow = files.file('etc/shadow');
  if (shadow !== null && HASH.test(files.whole(shadow)?.toString('latin1') ?? ''))
    yield note(
      'password-hash',
      shadow,
      'hashes of passwords: whoever can fetch the image has them',
    );
}
