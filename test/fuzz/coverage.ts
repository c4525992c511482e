/**
 * Which blocks of the code under test an input has come to, and how often: the code is given a counter
 * for each as it is loaded, on the same lines. Owns the counters. Must not know what an input is.
 *
 * V8 has such counters, but reading them takes it 10 ms, in which most readers read dozens of inputs.
 */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

interface Place {
  readonly url: string;
  readonly line: number;
}

/** The global that the counters are, in the code under test. */
const COUNTERS = '$blocks';
const MOST_BLOCKS = 1 << 16;
const { AmpersandAmpersandToken, BarBarToken, QuestionQuestionToken } = ts.SyntaxKind;
const EITHER: readonly ts.SyntaxKind[] = [
  AmpersandAmpersandToken,
  BarBarToken,
  QuestionQuestionToken,
];

export class Coverage {
  readonly #isWatched: (url: string) => boolean;
  readonly #counts = new Uint32Array(MOST_BLOCKS);
  /** A bit for each magnitude of a block's count. */
  readonly #seen = new Uint32Array(MOST_BLOCKS);
  readonly #places: Place[] = [];

  constructor(isWatched: (url: string) => boolean) {
    this.#isWatched = isWatched;
  }

  /** Before the code under test is imported. */
  start(): void {
    Object.assign(globalThis, { [COUNTERS]: this.#counts });
    registerHooks({
      load: (url, context, next) => {
        if (!url.endsWith('.ts') || !this.#isWatched(url)) return next(url, context);
        const source = readFileSync(fileURLToPath(url), 'utf8');
        const counted = withCounters(source, (line) => this.#places.push({ url, line }) - 1);
        if (this.#places.length > MOST_BLOCKS) throw new Error(`more blocks than ${MOST_BLOCKS}`);
        return { format: 'module-typescript', source: counted, shortCircuit: true };
      },
    });
  }

  /** Before an input. */
  clear(): void {
    this.#counts.fill(0, 0, this.#places.length);
  }

  /** Whether some block was come to for the first time since the start, or as often as never before. */
  isNew(): boolean {
    let isNew = false;
    for (let block = 0; block < this.#places.length; block++) {
      const count = this.#counts[block] ?? 0;
      if (count === 0) continue;
      const seen = this.#seen[block] ?? 0;
      const now = (seen | (1 << magnitude(count))) >>> 0;
      if (now === seen) continue;
      this.#seen[block] = now;
      isNew = true;
    }
    return isNew;
  }

  /** How many blocks some input has come to. */
  get reached(): number {
    return this.#seen.reduce((reached, seen) => reached + (seen === 0 ? 0 : 1), 0);
  }

  /** By file, of those that inputs came to: the lines with blocks that none did. */
  missed(): Map<string, number[]> {
    const files = new Set(
      this.#places.filter((_, at) => this.#seen[at] !== 0).map(({ url }) => url),
    );
    const missed = new Map<string, number[]>();
    for (const { url, line } of this.#places.filter((_, at) => this.#seen[at] === 0))
      if (files.has(url)) missed.set(url, [...(missed.get(url) ?? []), line]);
    return missed;
  }
}

/** Each number up to 8, so that each step of a longer way is something new; then up to 32, 128, more. */
function magnitude(count: number): number {
  if (count <= 8) return count - 1;
  return count <= 32 ? 8 : count <= 128 ? 9 : 10;
}

/** The same code, with a counter in each place that is come to by a choice. */
function withCounters(source: string, next: (line: number) => number): string {
  const inserted: { readonly at: number; readonly text: string }[] = [];
  const insert = (at: number, text: string): void => void inserted.push({ at, text });
  const file = ts.createSourceFile('source.ts', source, ts.ScriptTarget.ESNext);
  const counter = (at: number): string =>
    `${COUNTERS}[${next(file.getLineAndCharacterOfPosition(at).line + 1)}]++`;
  const wrap = (
    node: ts.Node,
    [before, between, after]: readonly [string, string, string],
  ): void => {
    const start = node.getStart(file);
    insert(start, before + counter(start) + between);
    visit(node);
    insert(node.end, after);
  };
  const expression = (node: ts.Node): void => wrap(node, ['(', ', ', ')']);
  const statement = (node: ts.Node): void =>
    ts.isBlock(node) ? visit(node) : wrap(node, ['{', '; ', '}']);
  const visit = (node: ts.Node): void => {
    if (ts.isIfStatement(node)) {
      visit(node.expression);
      statement(node.thenStatement);
      if (node.elseStatement === undefined) insert(node.end, ` else ${counter(node.end)};`);
      else statement(node.elseStatement);
    } else if (ts.isConditionalExpression(node)) {
      visit(node.condition);
      expression(node.whenTrue);
      expression(node.whenFalse);
    } else if (ts.isBinaryExpression(node) && EITHER.includes(node.operatorToken.kind)) {
      visit(node.left);
      expression(node.right);
    } else if (ts.isArrowFunction(node) && !ts.isBlock(node.body)) {
      node.parameters.forEach(visit);
      expression(node.body);
    } else if (ts.isIterationStatement(node, false)) {
      ts.forEachChild(node, (child) =>
        child === node.statement ? statement(child) : visit(child),
      );
    } else {
      if (ts.isBlock(node)) insert(node.getStart(file) + 1, `${counter(node.getStart(file))};`);
      if (ts.isCaseOrDefaultClause(node))
        insert(node.statements.pos, ` ${counter(node.statements.pos)};`);
      ts.forEachChild(node, visit);
    }
  };
  visit(file);
  // Of those at one place, the first is the outer one where things begin, the inner one where they end.
  inserted.sort((one, other) => one.at - other.at);
  const pieces = inserted.map(
    ({ at, text }, index) => source.slice(inserted[index - 1]?.at, at) + text,
  );
  return pieces.join('') + source.slice(inserted.at(-1)?.at);
}
