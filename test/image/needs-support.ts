/**
 * Plans over roots in memory for tests of the rules. Owns what such a root always has, and how what
 * the rules added is shown.
 */
import { operationBit } from '../../src/common/words.ts';
import { type ImagePlan, planImage, type PlanOptions } from '../../src/image/plan.ts';
import { type ElfShape, makeElf } from './make-elf.ts';
import { MemoryTree, type Node } from './memory-tree.ts';

const LD = '/lib64/ld-linux-x86-64.so.2';
const INIT: Node = { type: 'file', mode: 0o755, size: 3 };
/** What every glibc program has: its loader. */
export const BASE: Readonly<Record<string, Node>> = {
  init: INIT,
  'lib64/ld-linux-x86-64.so.2': makeElf({ soname: 'ld-linux-x86-64.so.2' }),
};

export const program = (needed: readonly string[], more: ElfShape = {}): Node => ({
  content: makeElf({ interpreter: LD, needed, ...more }),
  mode: 0o755,
});
export const library = (
  soname: string,
  needed: readonly string[] = [],
  more: ElfShape = {},
): string => makeElf({ soname, needed, ...more });
export const script = (content: string): Node => ({ content, mode: 0o755 });

export function plan(
  nodes: Readonly<Record<string, Node>>,
  used: readonly string[],
  more: Partial<PlanOptions> = {},
): Promise<ImagePlan> {
  return planImage({
    tree: new MemoryTree({ ...BASE, ...nodes }),
    files: used.map((path) => ({
      path: Buffer.from(path, 'latin1'),
      operations: operationBit('read'),
    })),
    mountPoints: [],
    devices: [],
    ...more,
  });
}

/** Paths that a rule brought in, with the first reason. */
export function added({ entries }: ImagePlan): Record<string, string> {
  const rows = entries
    .filter(({ type }) => type === 'file')
    .map(({ path, reasons }) => [path.toString('latin1'), reasons[0]] as const)
    .filter(([, reason]) => reason?.kind !== 'read' && reason?.kind !== 'init')
    .map(([path, reason]) => [path, `${reason?.kind} ${reason?.about?.toString('latin1')}`]);
  return Object.fromEntries(rows) as Record<string, string>;
}

/** The same without the loader, which is always there. */
export function libraries(made: ImagePlan): Record<string, string> {
  const rows = Object.entries(added(made));
  return Object.fromEntries(rows.filter(([path]) => `/${path}` !== LD));
}

export const messages = ({ problems }: ImagePlan): string[] =>
  problems.map(({ code, message }) => `${code}: ${message}`);
