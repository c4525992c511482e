/** `trace image verify IMAGE`: what the kernel makes of an image. */
import type { Command } from 'commander';
import { jsonPath, shownPath } from '../../common/bytes.ts';
import { EXIT } from '../../common/errors.ts';
import type { TreeNode } from '../../image/tools/kernel-tree.ts';
import type { Finding } from '../../image/tools/kernel-unpacker.ts';
import { stopWords } from '../../image/tools/stop-words.ts';
import { type VerifiedImage, verifyImage } from '../../image/tools/verify-image.ts';
import type { Register } from '../commands.ts';
import { findingWords } from './finding-words.ts';
import { withImage } from './image-input.ts';
import { bytesOfName, stopShape, typeName } from './shapes.ts';
import { shownName } from './text.ts';

export const registerImageVerify: Register = (image, context) => {
  image
    .command('verify <image>')
    .description('what the kernel makes of it: what it drops, changes, or stops at')
    .action((path: string, _options: object, command: Command) => {
      const { output } = context(command);
      return withImage(path, async (input) => {
        const verified = await verifyImage(input);
        const { ok, stop, why, records, counts, findings, tree, cutOff } = verified;
        if (!ok) process.exitCode = EXIT.failed;
        if (output.json) {
          const entries = [...tree.entries()].map(([name, node]) => ({
            ...entryShape(name, node),
            ...(node === cutOff && { mtime: null }),
          }));
          const told = { stop: stopShape(verified), records, ...counts };
          output.value({
            image: input.name,
            ok,
            ...told,
            findings: findings.map(findingShape),
            entries,
          });
          return;
        }
        for (const finding of findings) {
          const { kind, record } = finding;
          output.line(`${kind} ${shownName(record.name)}: ${findingWords(finding)}`);
        }
        if (stop !== null) output.line(`stopped ${stopWords(stop, why).message}`);
        output.line(`${input.name}: ${summary(verified)}`);
      });
    });
};

function summary({ ok, records, counts, stop, findings }: VerifiedImage): string {
  if (records === 0 && stop === null) return '0 records, there is nothing in it';
  const all = counts.dropped + counts.changed + counts.noted;
  const rest = all > findings.length ? `, of which the first ${findings.length} are told` : '';
  const odd = `${counts.dropped} dropped, ${counts.changed} change something else${rest}`;
  const end = stop === null ? '' : '; the rest is never unpacked';
  return ok ? `${records} records, all unpacked as they say` : `${records} records, ${odd}${end}`;
}

function findingShape(finding: Finding) {
  const { kind, code, record } = finding;
  const { name, member, offset } = record;
  const message = findingWords(finding);
  return { kind, code, ...jsonPath(bytesOfName(name)), member, offset, message };
}

function entryShape(name: string, node: TreeNode) {
  const type = typeName(node.type);
  return {
    ...jsonPath(shownPath(bytesOfName(name))),
    type,
    mode: node.mode,
    uid: node.uid,
    gid: node.gid,
    links: linksOf(node),
    size: node.size,
    mtime: new Date(node.mtime * 1000).toISOString(),
    sha256: node.content?.sha256 ?? null,
    ...(node.target !== null && { target: jsonPath(bytesOfName(node.target)) }),
    ...((type === 'character' || type === 'block') && {
      major: node.rdevMajor,
      minor: node.rdevMinor,
    }),
    built_in: node.builtIn,
  };
}

function linksOf({ children, links }: TreeNode): number {
  if (children === null) return links;
  return 2 + [...children.values()].filter((child) => child.children !== null).length;
}
