/** Undoes the backslashes of C strings, as strace and `find -ls` write them. Pure. */

const LETTERS: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  t: '\t',
  n: '\n',
  v: '\v',
  f: '\f',
  r: '\r',
};

/** @param text latin1, one character a byte */
export function unescaped(text: string): Buffer {
  const plain = text.replace(
    /\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|([^]))/g,
    (_, hex: string | undefined, octal: string | undefined, letter = '') => {
      if (hex !== undefined) return String.fromCharCode(parseInt(hex, 16));
      if (octal !== undefined) return String.fromCharCode(parseInt(octal, 8) & 0xff);
      return LETTERS[letter as string] ?? (letter as string);
    },
  );
  return Buffer.from(plain, 'latin1');
}
