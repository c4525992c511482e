/** Plans of trees in memory, with neither mount points nor devices, and what is in them in words. */
import { type Operation, operationBit } from '../../src/common/words.ts';
import { type ImagePlan, planImage, type PlanOptions } from '../../src/image/plan.ts';
import { MemoryTree, type Node } from './memory-tree.ts';

export interface Row {
  readonly ops?: readonly Operation[];
  readonly created?: boolean;
}

export function plan(
  nodes: Readonly<Record<string, Node>>,
  rows: Readonly<Record<string, Row>> | readonly string[],
  more: Partial<PlanOptions> = {},
): Promise<ImagePlan> {
  const list: readonly (readonly [string, Row])[] = Array.isArray(rows)
    ? (rows as string[]).map((path) => [path, {}])
    : Object.entries(rows as Record<string, Row>);
  return planImage({
    tree: new MemoryTree(nodes),
    files: list.map(([path, { ops = ['read'] as readonly Operation[], created = false }]) => ({
      path: Buffer.from(path, 'latin1'),
      operations: ops.reduce((bits, op) => bits | operationBit(op), 0),
      created,
    })),
    mountPoints: [],
    devices: [],
    ...more,
  });
}

export const paths = ({ entries }: ImagePlan): string[] =>
  entries.map((entry) => entry.path.toString('latin1'));

export const reasons = ({ entries }: ImagePlan, path: string): string[] =>
  (entries.find((entry) => entry.path.toString('latin1') === path)?.reasons ?? []).map(
    ({ kind, about }) => (about === null ? kind : `${kind} ${about.toString('latin1')}`),
  );

export const codes = (made: ImagePlan): string[] => made.problems.map((problem) => problem.code);
