/**
 * Text on a terminal's grid: what is safe to show, how many cells it takes, how it is cut to fit.
 * Pure; owns no layout.
 */
import { escapeName } from '../output.ts';

/** What turns the writing direction round, hides, or breaks lines: never shown as it is. */
const TRICKY = /[\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/gu;
/** Takes no cell of its own. */
const MARK = /^[\p{Mn}\p{Me}]$/u;
/** Takes two: East Asian wide and full width, and most emoji (Unicode's EastAsianWidth.txt). */
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{1fa70}-\u{1faff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}$/u;

/** One line of visible characters, whatever a name from the network holds. */
export function safe(text: string): string {
  return escapeName(Buffer.from(text)).replace(
    TRICKY,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}

/** Cells that a line of visible characters takes. */
export function cells(text: string): number {
  let sum = 0;
  for (const character of text) sum += cellsOf(character);
  return sum;
}

/** Exactly `width` cells: filled with blanks, or cut with a sign that says so. */
export function fit(text: string, width: number, side: 'left' | 'right' = 'left'): string {
  const cut = cells(text) > width ? cutTo(text, width) : text;
  const blanks = ' '.repeat(Math.max(0, width - cells(cut)));
  return side === 'left' ? cut + blanks : blanks + cut;
}

/** At most `width` cells; what is cut ends with `~`. */
export function cutTo(text: string, width: number): string {
  if (cells(text) <= width) return text;
  let out = '';
  let used = 0;
  for (const character of text) {
    const more = cellsOf(character);
    if (used + more > width - 1) break;
    out += character;
    used += more;
  }
  return width <= 0 ? '' : `${out}~`;
}

function cellsOf(character: string): number {
  // Nearly everything is ASCII.
  if (character >= ' ' && character <= '~') return 1;
  if (MARK.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}
