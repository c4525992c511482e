/** Whether a file has a private key in one of the usual text formats. Owns the formats. */

/** Read of each file: what is no text in it is not read on. */
const BEGINNING = 4096;
const MOST = 64 * 1024;

/**
 * What to look for first, which is cheap, and what a key is then: programs and their documentation
 * name the words, but have no key behind them. In JSON a line's end is `\n`.
 */
const FORMATS: readonly (readonly [sign: string, key: RegExp])[] = [
  [
    'PRIVATE KEY',
    /-{4,5} ?BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)? ?-{4,5}(?:\s|\\[rn])*(?:[A-Za-z0-9+/]{16}|[A-Za-z-]{1,40}: )/,
  ],
  ['PuTTY-User-Key-File-', /^PuTTY-User-Key-File-\d+: /],
  // WireGuard, for wg-quick(8) and systemd.netdev(5).
  ['PrivateKey', /^[ \t]*PrivateKey[ \t]*=[ \t]*[A-Za-z0-9+/]{43}=/m],
  // BIND, for DNSSEC.
  ['Private-key-format:', /^Private-key-format: v/m],
  ['AGE-SECRET-KEY-1', /AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}/],
];

/** @param read bytes of the file, less at its end */
export function hasPrivateKey(read: (offset: number, length: number) => Buffer): boolean {
  const beginning = read(0, BEGINNING);
  const goesOn = beginning.length === BEGINNING && !beginning.includes(0);
  const bytes = goesOn ? read(0, MOST) : beginning;
  const signs = FORMATS.filter(([sign]) => bytes.includes(sign));
  if (signs.length === 0) return false;
  const text = bytes.toString('latin1');
  return signs.some(([, key]) => key.test(text));
}
