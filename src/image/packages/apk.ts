/**
 * The words of apk's database of installed packages (apk-tools 2.14, src/database.c: one letter, a
 * colon, a value; `F:` is a directory, `R:` a file in it). Pure. Must not know where it is.
 */
import { lines } from './lines.ts';
import { MOST_PACKAGES, type Package } from './package.ts';

const WORD = /^[\x21-\x7e]{1,200}$/;

/**
 * Calls `claim` for each file, a relative byte string, in the order of the database.
 * @returns how many blocks lack a sound name or version, come again or are too many
 */
export function readInstalled(text: string, claim: (path: string, owner: Package) => void): number {
  const seen = new Set<string>();
  let odd = 0;
  let fields = new Map<string, string>();
  let directory = '';
  let owner: Package | null | undefined;
  /** All that is known of a package comes before its files. */
  const decide = (): Package | null => {
    const found = packageOf(fields);
    const sound = found !== null && !seen.has(found.name) && seen.size < MOST_PACKAGES;
    if (sound) seen.add(found.name);
    else odd++;
    return sound ? found : null;
  };
  for (const line of lines(text)) {
    if (line === '') {
      if (owner === undefined && fields.size > 0) decide();
      fields = new Map();
      directory = '';
      owner = undefined;
      continue;
    }
    if (line.charAt(1) !== ':') continue;
    const letter = line.charAt(0);
    const value = line.slice(2);
    if (letter === 'F') directory = value;
    else if (letter === 'R') {
      if (owner === undefined) owner = decide();
      if (owner !== null) claim(directory === '' ? value : `${directory}/${value}`, owner);
    } else if ('PVAL'.includes(letter) && !fields.has(letter)) fields.set(letter, value);
  }
  if (owner === undefined && fields.size > 0) decide();
  return odd;
}

function packageOf(fields: ReadonlyMap<string, string>): Package | null {
  const name = fields.get('P') ?? '';
  const version = fields.get('V') ?? '';
  const architecture = fields.get('A') ?? '';
  const licence = fields.get('L') ?? '';
  if (!WORD.test(name) || !WORD.test(version)) return null;
  if (architecture !== '' && !WORD.test(architecture)) return null;
  return {
    kind: 'apk',
    name,
    version,
    architecture,
    licence: /^[\x20-\x7e]{1,1000}$/.test(licence) ? licence : null,
  };
}
