/** Snapshots of real trees for tests of kept content. Owns how one is made and an image made of it. */
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { operationBit } from '../../src/common/words.ts';
import { ContentFolder } from '../../src/content/content-folder.ts';
import { type Kept, keepContent, type KeepRequest } from '../../src/content/keep-content.ts';
import { RecordedSource } from '../../src/content/recorded-source.ts';
import { NativeTree } from '../../src/fanotify-ts/tree.ts';
import type { ExportOptions } from '../../src/image/export.ts';
import { exportImage } from '../image/export-image.ts';
import { planImage, type PlanOptions, type SessionFile } from '../../src/image/plan.ts';
import { allPaths, temporaryFolder } from '../image/support.ts';

export const EXPRESSION = 'session-1';

/** All of a root, as a session that read everything has it. */
export function filesOf(root: string): SessionFile[] {
  return allPaths(root).map((path) => ({ path, operations: operationBit('read') }));
}

export interface Keeping extends Partial<Omit<KeepRequest, 'folder' | 'tree'>> {
  readonly root: string;
  /** Of the content. */
  readonly folder: string;
}

export async function keep({ root, folder, ...more }: Keeping): Promise<Kept> {
  const tree = NativeTree.open(root);
  try {
    return await keepContent({
      folder: ContentFolder.claim(folder),
      maxBytes: 1 << 30,
      expression: EXPRESSION,
      files: more.files ?? filesOf(root),
      rules: [],
      tree,
      version: '1',
      ...more,
    });
  } finally {
    tree.close();
  }
}

type Choices = Partial<PlanOptions> & Pick<ExportOptions, 'format' | 'compress'>;

/** The image of some files of a root as it is now, or, of a folder of content, as it was. */
export async function imageOf(
  t: TestContext,
  files: readonly SessionFile[],
  from: { readonly root: string } | { readonly folder: string },
  choices: Choices = {},
): Promise<Buffer> {
  const output = join(temporaryFolder(t), 'image');
  const { format, compress } = choices;
  if ('root' in from) {
    const tree = NativeTree.open(from.root);
    const plan = await planImage({ ...choices, files, tree });
    await exportImage({ plan, tree, output, format, compress });
    tree.close();
    return readFileSync(output);
  }
  const stored = await RecordedSource.open({ folder: from.folder, expression: EXPRESSION });
  const plan = await planImage({ ...choices, files, tree: stored.planned });
  await stored.check(plan.entries);
  await exportImage({ plan, tree: stored.files, stored, output, format, compress });
  stored.close();
  return readFileSync(output);
}
