/**
 * What the tests found to work on which kernel: each test notes it once it has passed, the runner
 * gathers the notes and holds docs/compatibility.md against them. Owns the notes' and the table's
 * form. Must not decide what a result is.
 *
 *     noteCompatibility({ kernel: 'trixie', nfs: '4.2', what: 'files of a session', tier, result })
 *
 * as the last line of a test, so that a test that failed notes nothing.
 */
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KERNELS, LAB_KERNELS, type LabKernel } from './lab/kernels.ts';

/** One line of the table. All but tier and result together are its name: unique in a run. */
export interface Compatibility {
  readonly kernel: LabKernel;
  /** `3`, `4.0`, `4.1`, `4.2`. */
  readonly nfs: string;
  /** How the root is exported. Default: by the UUID of its file system. */
  readonly exportKind?: string;
  /** Default: ext4. */
  readonly fileSystem?: string;
  /** What was tried, in a few words. */
  readonly what: string;
  /** The tier that the session had. */
  readonly tier: string;
  /** What came of it, in a few words: nothing that differs between two runs. */
  readonly result: string;
}

/** Set by the runner; without it (a test file run by hand) nothing is gathered. */
export const COMPATIBILITY_VARIABLE = 'NFSROOT_TRACE_COMPATIBILITY';

const HEAD = ['kernel', 'NFS', 'export', 'file system', 'what', 'tier', 'result'];
const NAME_COLUMNS = 5;

export function noteCompatibility(row: Compatibility): void {
  const folder = process.env[COMPATIBILITY_VARIABLE];
  if (folder === undefined || folder === '') return;
  appendFileSync(join(folder, `${process.pid}.jsonl`), `${JSON.stringify(row)}\n`);
}

/** All that was noted in a folder. */
export function gatherCompatibility(folder: string): Compatibility[] {
  return readdirSync(folder).flatMap((name) =>
    readFileSync(join(folder, name), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Compatibility),
  );
}

export interface CompatibilityOptions {
  /** The page as it is committed. */
  readonly page: string;
  readonly rows: readonly Compatibility[];
  /** Whether every test ran and passed: then the table holds these rows and no others. */
  readonly whole: boolean;
}

/**
 * The page with the rows in its table, which is its end. Rows that this run did not give stay, if
 * it was not whole. Throws if two rows of one name differ.
 */
export function renderCompatibility({ page, rows, whole }: CompatibilityOptions): string {
  const start = page.indexOf(`| ${HEAD[0]} |`);
  const before = start === -1 ? page : page.slice(0, start);
  const lines = new Map<string, string>();
  for (const row of rows) {
    const cells = cellsOf(row);
    const line = lineOf(cells);
    const name = nameOf(cells);
    const other = lines.get(name);
    if (other !== undefined && other !== line) {
      throw new Error(`two tests say different things:\n${other}\n${line}`);
    }
    lines.set(name, line);
  }
  if (!whole) {
    for (const line of tableOf(page)) {
      const name = nameOf(
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      );
      if (!lines.has(name)) lines.set(name, line);
    }
  }
  const body = [...lines].sort(([a], [b]) => (rank(a) < rank(b) ? -1 : 1)).map(([, line]) => line);
  return `${before}${[lineOf(HEAD), `|${'---|'.repeat(HEAD.length)}`, ...body].join('\n')}\n`;
}

/** What is wrong with the committed page, for a person; null if it says what the run gave. */
export function checkCompatibility(options: CompatibilityOptions): string | null {
  const now = renderCompatibility(options);
  if (now === options.page) return null;
  const [had, has] = [tableOf(options.page), tableOf(now)];
  const lines = [
    ...had.filter((line) => !has.includes(line)).map((line) => `- ${line}`),
    ...has.filter((line) => !had.includes(line)).map((line) => `+ ${line}`),
  ];
  return [
    'docs/compatibility.md is not what the tests found (- committed, + found):',
    ...(lines.length > 0 ? lines : ['the order or the head of the table']),
    'If that is right: scripts/test --write-compatibility, and commit the page.',
  ].join('\n');
}

function cellsOf(row: Compatibility): string[] {
  const { kernel, nfs, exportKind = 'UUID', fileSystem = 'ext4', what, tier, result } = row;
  const cells = [`${kernel} ${KERNELS[kernel]}`, nfs, exportKind, fileSystem, what, tier, result];
  for (const cell of cells) {
    if (/[|\n]/.test(cell)) throw new Error(`a cell of the table cannot hold: ${cell}`);
  }
  return cells;
}

function lineOf(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function nameOf(cells: readonly string[]): string {
  return cells.slice(0, NAME_COLUMNS).join('|');
}

/** Oldest kernel first, then as text. */
function rank(name: string): string {
  const kernel = LAB_KERNELS.findIndex((suite) => name.startsWith(`${suite} `));
  return `${kernel === -1 ? LAB_KERNELS.length : kernel}${name}`;
}

/** The rows of a page's table, as lines. */
function tableOf(page: string): string[] {
  const lines = page.split('\n');
  const start = lines.findIndex((line) => line.startsWith('|---|'));
  return start === -1 ? [] : lines.slice(start + 1).filter((line) => line.startsWith('| '));
}
