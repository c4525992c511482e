/** Lines of a unit file as systemd joins them (systemd.syntax(7)). Pure. */

/**
 * Without comments, and without blanks before and behind. A line that ends with a backslash goes on in
 * the next; comments between do not end it, an empty line does.
 */
export function* unitLines(lines: readonly string[]): Generator<string> {
  let begun = '';
  for (const written of lines) {
    const line = written.trim();
    if (line.startsWith('#') || line.startsWith(';')) continue;
    if (goesOn(line)) {
      begun += `${line.slice(0, -1)} `;
      continue;
    }
    const whole = (begun + line).trim();
    begun = '';
    if (whole !== '') yield whole;
  }
  if (begun !== '') yield begun.trim();
}

/** The last backslash is not escaped by the one before. */
function goesOn(line: string): boolean {
  let end = line.length;
  while (line[end - 1] === '\\') end--;
  return (line.length - end) % 2 === 1;
}
