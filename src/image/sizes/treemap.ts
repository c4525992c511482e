/**
 * Lays out the entries of an image as nested rectangles whose areas are bytes: a squarified treemap
 * (Bruls, Huizing, van Wijk 2000). Pure. Must not know how it is drawn.
 */
import { fromBytes, parentOf } from '../resolve.ts';
import type { SizeItem } from './weigh.ts';

export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Tile extends Rectangle {
  /** Of small ones that share a tile, their directory. */
  readonly path: Buffer;
  readonly archiveBytes: number;
  /** How many small ones share it; 0 for an entry of its own. */
  readonly others: number;
  readonly isDirectory: boolean;
  readonly kind: SizeItem['kind'];
  /** Whether there is room for a directory's name above what is in it. */
  readonly hasTitle: boolean;
}

/** What is smaller shares a tile with its like: nobody could see or point at it. */
const LEAST_AREA = 40;
const TITLE = 14;
const EDGE = 1;

interface Node {
  readonly path: string;
  readonly item: SizeItem;
  readonly children: Node[];
  weight: number;
}

/** Directories before what is in them; nothing at all for no bytes. */
export function treemap(items: readonly SizeItem[], area: Rectangle): Tile[] {
  const root = treeOf(items);
  const tiles: Tile[] = [];
  if (root !== undefined) place(root, area, tiles);
  return tiles;
}

function treeOf(items: readonly SizeItem[]): Node | undefined {
  const nodes = items.map((item): Node => {
    const { path, archiveBytes: weight } = item;
    return { path: fromBytes(path), item, children: [], weight };
  });
  nodes.sort((a, b) => (a.path < b.path ? -1 : 1));
  const directories = new Map<string, Node>();
  for (const node of nodes) if (node.item.isDirectory) directories.set(node.path, node);
  // Backwards, so that a directory is whole before its parent takes it.
  for (const node of nodes.toReversed()) {
    const parent = node.path === '' ? undefined : directories.get(parentOf(node.path));
    if (parent === undefined) continue;
    parent.children.push(node);
    parent.weight += node.weight;
  }
  return directories.get('');
}

function place({ item, children, weight }: Node, area: Rectangle, tiles: Tile[]): void {
  const hasTitle = item.isDirectory && area.height > 3 * TITLE && area.width > 3 * TITLE;
  const { path, isDirectory, kind } = item;
  tiles.push({ ...area, path, isDirectory, kind, archiveBytes: weight, others: 0, hasTitle });
  const top = hasTitle ? TITLE : EDGE;
  const inner = {
    x: area.x + EDGE,
    y: area.y + top,
    width: area.width - 2 * EDGE,
    height: area.height - top - EDGE,
  };
  if (children.length === 0 || inner.width <= 0 || inner.height <= 0) return;
  children.sort((a, b) => b.weight - a.weight || (a.path < b.path ? -1 : 1));
  const total = children.reduce((sum, child) => sum + child.weight, 0);
  const scale = (inner.width * inner.height) / total;
  const large = children.filter((child) => child.weight * scale >= LEAST_AREA);
  const small = children.slice(large.length);
  const rest = small.reduce((sum, child) => sum + child.weight, 0);
  const weights = [...large.map((child) => child.weight), ...(small.length > 0 ? [rest] : [])];
  squarify(weights, inner).forEach((part, index) => {
    const child = large[index];
    if (child !== undefined) place(child, part, tiles);
    else
      tiles.push({
        ...part,
        path: item.path,
        archiveBytes: rest,
        others: small.length,
        isDirectory: false,
        kind: null,
        hasTitle: false,
      });
  });
}

/** A rectangle for each weight, rows along the shorter side as long as they become squarer. */
export function squarify(weights: readonly number[], area: Rectangle): Rectangle[] {
  const total = weights.reduce((sum, one) => sum + one, 0);
  if (total <= 0) return [];
  const areas = weights.map((one) => (one * area.width * area.height) / total);
  const found: Rectangle[] = [];
  let left = area;
  for (let start = 0; start < areas.length;) {
    const side = Math.min(left.width, left.height);
    let end = start + 1;
    let sum = areas[start] ?? 0;
    // What shares a tile comes last and may be larger than the one before it.
    let [least, most] = [sum, sum];
    while (end < areas.length) {
      const next = areas[end] ?? 0;
      const [small, large] = [Math.min(least, next), Math.max(most, next)];
      if (worst(small, large, sum + next, side) > worst(least, most, sum, side)) break;
      [least, most, sum] = [small, large, sum + next];
      end++;
    }
    left = layRow(areas.slice(start, end), sum, left, found);
    start = end;
  }
  return found;
}

/** The longest side over the shortest of the worst rectangle of a row. */
function worst(least: number, most: number, sum: number, side: number): number {
  return Math.max((side * side * most) / (sum * sum), (sum * sum) / (side * side * least));
}

/** Puts a row along the shorter side; what is left of the area. */
function layRow(
  row: readonly number[],
  sum: number,
  area: Rectangle,
  found: Rectangle[],
): Rectangle {
  const { x, y, width, height } = area;
  const upright = height <= width;
  const thick = sum / (upright ? height : width);
  let at = upright ? y : x;
  for (const one of row) {
    const long = one / thick;
    found.push(
      upright ? { x, y: at, width: thick, height: long } : { x: at, y, width: long, height: thick },
    );
    at += long;
  }
  return upright
    ? { x: x + thick, y, width: Math.max(0, width - thick), height }
    : { x, y: y + thick, width, height: Math.max(0, height - thick) };
}
