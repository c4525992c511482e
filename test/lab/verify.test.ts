/**
 * Whether the kernel agrees with `trace image verify`: each crafted image is booted, as an initramfs of
 * its own, and what the kernel unpacked and said is compared with what was predicted. In front of each
 * is an archive with the program that looks.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { archive, directory, file } from '../image/tools/craft.ts';
import { CRAFTED } from '../image/tools/crafted-images.ts';
import { TraceSandbox } from '../support/trace-sandbox.ts';
import { ensureArtifacts } from './artifacts.ts';
import { SUITE } from './debian.ts';
import { Machine } from './machine.ts';
import { privateFolder } from './private-folder.ts';

const BOOT_MS = 120_000;
/** The newest of the lab's kernels, for rules that the usual one does not have yet. */
const NEWEST = 'sid';

/** Names and targets as hexadecimal digits: they may hold anything. */
const LOOK = `#!/bin/busybox sh
b=/bin/busybox
hex() { $b od -An -v -tx1 | $b tr -d ' \\n'; }
for path; do
  set -- $($b stat -c '%f %u %g %s %h %t %T %Y' "$path")
  sum=- target=-
  case $1 in
    8*) set -- "$@" "$($b sha256sum < "$path" | $b cut -c1-64)" ;;
    a*) set -- "$@" "$($b readlink -n "$path" | hex)" ;;
  esac
  echo "entry: $($b printf %s "$path" | hex) $*"
done
`;
const INIT = `#!/bin/busybox sh
/bin/busybox find / -xdev -print0 | /bin/busybox xargs -0 /bin/look
echo "lab: told"
exec /bin/busybox sleep 1000
`;

interface Entry {
  readonly path: string;
  readonly path_base64?: string;
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly links: number;
  readonly mtime: string | null;
  readonly sha256: string | null;
  readonly target?: { readonly path: string; readonly path_base64?: string };
  readonly major?: number;
  readonly minor?: number;
  readonly built_in: boolean;
}

const TYPES: Readonly<Record<string, number>> = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  character: 0o020000,
  fifo: 0o010000,
};

const hexOf = (one: { readonly path: string; readonly path_base64?: string }): string =>
  (one.path_base64 === undefined
    ? Buffer.from(one.path)
    : Buffer.from(one.path_base64, 'base64')
  ).toString('hex');

/** The line that the machine must print of an entry; null where its time is nobody's. */
function expected(entry: Entry): string {
  const { type, mode, uid, gid, size, links, major = 0, minor = 0, sha256, target } = entry;
  const isRoot = entry.path === '.';
  const name = Buffer.from('/').toString('hex') + (isRoot ? '' : hexOf(entry));
  const hex = (value: number): string => value.toString(16);
  const own = type === 'directory' ? '*' : String(size);
  // What is written to the console changes its time.
  const since = isRoot || entry.built_in || type === 'character' ? null : entry.mtime;
  const time = since === null ? '*' : String(Date.parse(since) / 1000);
  const numbers = [
    hex((TYPES[type] ?? 0) | mode),
    uid,
    gid,
    own,
    links,
    hex(major),
    hex(minor),
    time,
  ];
  const more = type === 'file' ? [sha256] : target === undefined ? [] : [hexOf(target)];
  return ['entry:', name, ...numbers, ...more].join(' ').trimEnd();
}

/** Sizes of directories and times that no record sets are left out. */
function comparable(line: string, like: string): string {
  const [told, wanted] = [line.trimEnd().split(' '), like.split(' ')];
  return told.map((word, at) => (wanted[at] === '*' ? '*' : word)).join(' ');
}

describe(
  'the kernel agrees with `trace image verify`',
  { skip: lacks('root', 'qemu', 'busybox') },
  () => {
    let folder: string;
    let sandbox: TraceSandbox;
    before(async () => {
      folder = await privateFolder();
      sandbox = new TraceSandbox();
    });
    after(async () => {
      await sandbox.remove();
      await rm(folder, { recursive: true, force: true });
    });
    const looker = archive(
      directory('bin'),
      file('bin/busybox', readFileSync('/bin/busybox'), { mode: 0o100755 }),
      file('bin/look', LOOK, { mode: 0o100755 }),
      file('init', INIT, { mode: 0o100755 }),
    );

    for (const [index, { what, bytes, since }] of CRAFTED.entries())
      test(what, async () => {
        const { kernel } = await ensureArtifacts(
          since === undefined ? SUITE : NEWEST,
          () => undefined,
        );
        const initrd = path.join(folder, `${index}.img`);
        writeFileSync(initrd, Buffer.concat([looker, bytes]));
        const { json } = await sandbox.run(['image', 'verify', initrd, '--json']);
        const { entries, stop } = json as {
          entries: Entry[];
          stop: { code: string; kernel: string | null } | null;
        };
        const machine = new Machine({
          name: `verify-${index}`,
          kernel,
          initrd,
          append: 'loglevel=1',
          memoryMb: 320,
          cpus: 1,
          devices: [],
        });
        machine.start();
        try {
          await machine.waitFor(/lab: told/, BOOT_MS);
          const { log } = machine;
          const said = /Initramfs unpacking failed: (.*)/.exec(log)?.[1]?.trim() ?? null;
          // A decompressor may have words of its own.
          if (stop?.code === 'cannot-unpack') assert.ok(said !== null);
          else assert.equal(said, stop?.kernel ?? null);
          const lines = new Map(
            [...log.matchAll(/^entry: (\S+) .*$/gm)].map(([line, name]) => [name, line]),
          );
          for (const entry of entries) {
            const wanted = expected(entry);
            const name = wanted.split(' ')[1];
            assert.equal(comparable(lines.get(name) ?? 'not there', wanted), wanted);
            lines.delete(name);
          }
          assert.deepEqual([...lines.values()], []);
        } finally {
          await machine.kill();
        }
      });
  },
);
