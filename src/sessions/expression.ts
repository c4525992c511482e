/**
 * Session expressions: `session-42`, `41+42`, `session-42-session-41`, `(41+42)&43`. Owns their
 * grammar; pure, must not know the store.
 *
 *     expression = operand { ("+" | "-" | "&") operand }      from left to right
 *     operand    = "session-" digits | digits | "(" expression ")"
 */
import { TraceError } from '../common/errors.ts';

export type SessionExpression =
  | { readonly kind: 'session'; readonly id: number }
  | {
      readonly kind: 'union' | 'difference' | 'intersection';
      readonly left: SessionExpression;
      readonly right: SessionExpression;
    };

const OPERATORS = {
  '+': 'union',
  '-': 'difference',
  '&': 'intersection',
} as const;

type Symbol = keyof typeof OPERATORS | '(' | ')';

interface Token {
  readonly symbol: Symbol | 'session' | 'end';
  readonly id: number;
  /** From 0, in characters. */
  readonly at: number;
}

/** Deeper nesting than a person writes would only exhaust the stack. */
const MAX_DEPTH = 100;
/** So would a chain of more than any script writes. */
const MAX_SESSIONS = 1000;
/** What an error shows of the text. */
const SHOWN = 200;

/** @throws TraceError `bad-expression` with the column (from 1) where it stopped making sense */
export function parseExpression(text: string): SessionExpression {
  return new Parser(text).parse();
}

/** The sessions of an expression, each once, in the order of their numbers. */
export function sessionsIn(expression: SessionExpression): number[] {
  const ids = new Set<number>();
  const visit = (node: SessionExpression): void => {
    if (node.kind === 'session') ids.add(node.id);
    else {
      visit(node.left);
      visit(node.right);
    }
  };
  visit(expression);
  return [...ids].sort((a, b) => a - b);
}

/** The one way of writing an expression, e.g. for the record of an export. */
export function formatExpression(expression: SessionExpression): string {
  if (expression.kind === 'session') return `session-${expression.id}`;
  const operator = Object.entries(OPERATORS).find(([, kind]) => kind === expression.kind)?.[0];
  const right = formatExpression(expression.right);
  const grouped = expression.right.kind === 'session' ? right : `(${right})`;
  return `${formatExpression(expression.left)}${operator ?? ''}${grouped}`;
}

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #next = 0;
  #operators = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = this.#scan();
  }

  parse(): SessionExpression {
    const expression = this.#expression(0);
    const rest = this.#peek();
    if (rest.symbol !== 'end') throw this.#error(rest.at, "expected '+', '-', '&' or the end");
    return expression;
  }

  #expression(depth: number): SessionExpression {
    let left = this.#operand(depth);
    for (;;) {
      const { symbol, at } = this.#peek();
      if (symbol !== '+' && symbol !== '-' && symbol !== '&') return left;
      this.#next += 1;
      this.#operators += 1;
      if (this.#operators === MAX_SESSIONS) throw this.#error(at, 'too many sessions');
      left = { kind: OPERATORS[symbol], left, right: this.#operand(depth) };
    }
  }

  #operand(depth: number): SessionExpression {
    const token = this.#peek();
    this.#next += 1;
    if (token.symbol === 'session') return { kind: 'session', id: token.id };
    if (token.symbol !== '(') throw this.#error(token.at, 'expected a session');
    if (depth === MAX_DEPTH) throw this.#error(token.at, 'too many parentheses');
    const inner = this.#expression(depth + 1);
    const close = this.#peek();
    if (close.symbol !== ')') throw this.#error(close.at, "expected ')'");
    this.#next += 1;
    return inner;
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? { symbol: 'end', id: 0, at: this.#text.length };
  }

  #scan(): Token[] {
    const tokens: Token[] = [];
    const pattern = /\s*(?:(?:session-)?(\d+)(?!\w)|([-+&()]))/y;
    const end = this.#text.trimEnd().length;
    while (pattern.lastIndex < end) {
      const from = pattern.lastIndex;
      const found = pattern.exec(this.#text);
      const blanks = /\s*/y;
      blanks.lastIndex = from;
      const at = from + (blanks.exec(this.#text)?.[0].length ?? 0);
      if (found === null) throw this.#error(at, 'expected a session');
      const [, digits, symbol] = found;
      if (digits === undefined) tokens.push({ symbol: symbol as Symbol, id: 0, at });
      else tokens.push({ symbol: 'session', id: this.#number(digits, at), at });
    }
    return tokens;
  }

  #number(digits: string, at: number): number {
    const id = Number(digits);
    if (!Number.isSafeInteger(id) || id === 0) throw this.#error(at, 'no session has that number');
    return id;
  }

  #error(at: number, what: string): TraceError {
    const text = this.#text;
    const shown = text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
    return new TraceError({
      code: 'bad-expression',
      message: `${what} at column ${at + 1} of '${shown}'`,
      hint: 'write it like session-42, session-41+session-42, session-42-session-41 or 41&42',
      exit: 'usage',
    });
  }
}
