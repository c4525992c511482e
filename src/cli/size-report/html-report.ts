/**
 * The report as one HTML file: a treemap and tables. Owns the page. It needs nothing from anywhere,
 * runs no script, and its policy forbids both; names of files are text, whatever they hold.
 */
import { createHash } from 'node:crypto';
import type { ReasonKind } from '../../image/closure.ts';
import { type Tile, treemap } from '../../image/sizes/treemap.ts';
import type { Weight } from '../../image/sizes/weigh.ts';
import { size } from '../output.ts';
import type { SizeReport } from './size-report.ts';
import { evidenceOf, nameOf, ownerName, percent, summary } from './words.ts';

const WIDTH = 1200;
const HEIGHT = 720;
const MOST = 100;
/** Of 11 px sans-serif, about. */
const LETTER = 6.2;

/** Colours of the map. */
const GROUPS = [
  ['used', 'read or written', ['read', 'readlink', 'readdir', 'write']],
  ['stat', 'looked at', ['stat']],
  ['needed', 'needed by something', []],
  ['linked', 'a link or where it leads', ['way-to', 'parent-of', 'symlink-to', 'target-of']],
  ['added', 'added', ['rule', 'device-table', 'skeleton', 'init', 'record']],
  ['small', 'several small ones', []],
] as const satisfies readonly (readonly [string, string, readonly ReasonKind[]])[];

const STYLE = `
:root{color-scheme:light dark;font:14px/1.4 sans-serif}
body{margin:1.5rem auto;max-width:1200px;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
svg{width:100%;height:auto;display:block}
svg text{font:11px sans-serif;fill:#111;pointer-events:none}
rect{stroke:#fff;stroke-width:.5}
.dir{fill:#d9dde3}.used{fill:#7db8e8}.stat{fill:#f0c36d}.needed{fill:#9fd3a0}
.linked{fill:#e79d94}.added{fill:#c4a8e0}.small{fill:#bcbcbc}
.key{display:inline-block;margin-right:1.2rem}.key svg{width:12px;height:12px;display:inline}
table{border-collapse:collapse}td,th{padding:.15rem .7rem .15rem 0;text-align:left;vertical-align:top}
td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
td{overflow-wrap:anywhere}
`;

export function htmlReport(report: SizeReport): Buffer {
  const { sizes } = report;
  const { total, directories, packages, reasons, drops, unread } = sizes;
  const hash = createHash('sha256').update(STYLE).digest('base64');
  const policy = `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`;
  const heads = ['archive', 'share', 'entries'];
  const weighed = (one: Weight, name: string) => [
    size(one.archiveBytes),
    percent(one.archiveBytes, total.archiveBytes),
    String(one.entries),
    name,
  ];
  const largest = directories.toSorted((a, b) => b.archiveBytes - a.archiveBytes);
  const tiles = treemap(sizes.items, { x: 0, y: 0, width: WIDTH, height: HEIGHT });
  const title = `Image of ${report.expression}`;
  const parts = [
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${escaped(policy)}">`,
    '<meta name="viewport" content="width=device-width">',
    `<title>${escaped(title)}</title>\n<style>${STYLE}</style>\n</head>\n<body>`,
    `<h1>${escaped(title)}</h1>\n<p>${escaped(summary(report))}</p>`,
    `<p>${GROUPS.map(key).join('\n')}</p>`,
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Treemap of the image">`,
    ...tiles.map(drawn),
    '</svg>',
    rows('Cheapest drops', ['unread', 'evidence', 'file'], 1, drops, (one) => [
      size(one.unreadBytes),
      evidenceOf(one),
      nameOf(one.path),
    ]),
    rows('By package', [...heads, 'package'], 3, packages, (one) =>
      weighed(one, ownerName(one.owner)),
    ),
    rows('By directory, with all that is in it', [...heads, 'directory'], 3, largest, (one) =>
      weighed(one, nameOf(one.path)),
    ),
    rows('By first reason', [...heads, 'reason'], 3, reasons, (one) => weighed(one, one.kind)),
    rows('Not used of databases of packages', ['file', 'why'], 0, unread, ({ path, why }) => [
      nameOf(Buffer.from(path, 'latin1')),
      why,
    ]),
    `<p>nfsroot-trace ${escaped(report.version)}</p>\n</body>\n</html>\n`,
  ];
  return Buffer.from(parts.filter((part) => part !== '').join('\n'));
}

function groupOf(kind: ReasonKind | null): string {
  if (kind === null) return 'small';
  const found = GROUPS.find(([, , kinds]: readonly [string, string, readonly ReasonKind[]]) =>
    kinds.includes(kind),
  );
  return found?.[0] ?? 'needed';
}

function key([name, words]: readonly [string, string, readonly ReasonKind[]]): string {
  const box = `<svg viewBox="0 0 12 12"><rect class="${name}" width="12" height="12"/></svg>`;
  return `<span class="key">${box} ${escaped(words)}</span>`;
}

function drawn(tile: Tile): string {
  const { x, y, width, height, path, archiveBytes, others, isDirectory, kind, hasTitle } = tile;
  const place =
    `x="${x.toFixed(1)}" y="${y.toFixed(1)}" ` +
    `width="${width.toFixed(1)}" height="${height.toFixed(1)}"`;
  const name = others > 0 ? `${others} small ones in ${nameOf(path)}` : nameOf(path);
  const group = isDirectory ? 'dir' : groupOf(kind);
  const why = kind === null || isDirectory ? '' : `, ${kind}`;
  const tip = escaped(`${name}: ${size(archiveBytes)}${why}`);
  const rectangle = `<rect class="${group}" ${place}><title>${tip}</title></rect>`;
  const room = Math.floor((width - 6) / LETTER);
  const hasRoom = isDirectory ? hasTitle : height >= 14;
  if (!hasRoom || room < 4 || others > 0) return rectangle;
  const [textX, textY] = [(x + 3).toFixed(1), (y + 11).toFixed(1)];
  const words = isDirectory ? `${lastName(path)} ${size(archiveBytes)}` : lastName(path);
  return `${rectangle}<text x="${textX}" y="${textY}">${escaped(cut(words, room))}</text>`;
}

/** The path's last name, as it is shown. */
function lastName(path: Buffer): string {
  const name = nameOf(path.subarray(path.lastIndexOf('/') + 1));
  return path.length === 0 ? name : name.slice(1);
}

function cut(text: string, room: number): string {
  const letters = Array.from(text);
  return letters.length <= room ? text : `${letters.slice(0, room - 1).join('')}…`;
}

/** A table; nothing at all when it would be empty. */
function rows<T>(
  title: string,
  heads: readonly string[],
  numbers: number,
  all: readonly T[],
  cells: (one: T) => readonly string[],
): string {
  if (all.length === 0) return '';
  const kind = (index: number) => (index < numbers ? ' class="n"' : '');
  const row = (tag: string, texts: readonly string[]) =>
    `<tr>${texts.map((text, i) => `<${tag}${kind(i)}>${escaped(text)}</${tag}>`).join('')}</tr>`;
  const body = all.slice(0, MOST).map((one) => row('td', cells(one)));
  const more = all.length > MOST ? `\n<p>and ${all.length - MOST} more</p>` : '';
  return `<h2>${escaped(title)}</h2>\n<table>\n${[row('th', heads), ...body].join('\n')}\n</table>${more}`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (one) => ENTITIES[one] ?? '');
}
