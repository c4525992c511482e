/**
 * Names by a shell pattern, as glob(3) finds them: `*`, `?` and `[...]`, of each part of a path by
 * itself; a leading dot must be spelt. Owns the matching, which takes time in proportion to pattern
 * times name whatever they are.
 */

/** Both are byte strings without slashes. */
export function matches(pattern: string, name: string): boolean {
  if (name.startsWith('.') && !pattern.startsWith('.')) return false;
  let [at, in_] = [0, 0];
  let [star, retry] = [-1, 0];
  while (in_ < name.length) {
    const step = pattern[at] === '*' ? 0 : one(pattern, at, name[in_] ?? '');
    if (pattern[at] === '*') {
      star = at++;
      retry = in_;
    } else if (step > 0) {
      at += step;
      in_++;
    } else if (star >= 0) {
      at = star + 1;
      in_ = ++retry;
    } else return false;
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}

export const isPattern = (text: string): boolean => /[*?[]/.test(text);

/** Characters of the pattern that match one of the name, 0 for none. */
function one(pattern: string, at: number, character: string): number {
  const sign = pattern[at];
  if (sign === '?') return 1;
  if (sign === '\\') return pattern[at + 1] === character ? 2 : 0;
  const end = sign === '[' ? pattern.indexOf(']', at + 2) : -1;
  if (end < 0) return sign === character ? 1 : 0;
  const negated = pattern[at + 1] === '!' || pattern[at + 1] === '^';
  const set = pattern.slice(at + (negated ? 2 : 1), end);
  let inside = false;
  for (let i = 0; i < set.length; i++) {
    const from = set[i] ?? '';
    const to = set[i + 1] === '-' && i + 2 < set.length ? (set[i + 2] ?? '') : from;
    if (to !== from) i += 2;
    inside ||= from <= character && character <= to;
  }
  return inside !== negated ? end - at + 1 : 0;
}
