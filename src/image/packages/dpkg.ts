/**
 * The words of dpkg's database: its status, its lists of files, its diversions (dpkg 1.21: dpkg(1),
 * dpkg-divert(1), deb822(5)). Pure. Owns the formats; must not know where the files are.
 *
 * All text is byte strings. What is not as dpkg writes it is passed over and counted.
 */
import { lines } from './lines.ts';
import { MOST_PACKAGES, type Package } from './package.ts';

export interface Status {
  /** In the order of the file, each name and architecture once. */
  readonly packages: readonly Package[];
  /** Stanzas that are none of dpkg's, or too many. */
  readonly odd: number;
}

const NAME = /^[a-z0-9][a-z0-9+.-]{0,200}$/;
const VERSION = /^[A-Za-z0-9.+:~-]{1,200}$/;
const ARCHITECTURE = /^[a-z0-9][a-z0-9-]{0,60}$/;

/** Packages that have files: also half-installed ones, but none that was removed. */
export function parseStatus(text: string): Status {
  const packages = new Map<string, Package>();
  let odd = 0;
  for (const stanza of stanzas(text)) {
    const name = stanza.get('package');
    const state = stanza.get('status')?.split(/\s+/)[2];
    const version = stanza.get('version');
    const architecture = stanza.get('architecture');
    if (state === 'not-installed' || state === 'config-files') continue;
    const key = `${name ?? ''}:${architecture ?? ''}`;
    if (
      name === undefined ||
      version === undefined ||
      architecture === undefined ||
      state === undefined ||
      !NAME.test(name) ||
      !VERSION.test(version) ||
      !ARCHITECTURE.test(architecture) ||
      packages.has(key) ||
      packages.size >= MOST_PACKAGES
    )
      odd++;
    else packages.set(key, { kind: 'deb', name, version, architecture, licence: null });
  }
  return { packages: [...packages.values()], odd };
}

/** More than any value that is taken. */
const MOST_VALUE = 1000;
const WANTED = new Set(['package', 'status', 'version', 'architecture']);

/** The wanted fields of each stanza, by lower-case name; of a field that is there twice the first. */
function* stanzas(text: string): Generator<ReadonlyMap<string, string>> {
  let fields = new Map<string, string>();
  let some = false;
  for (const line of lines(text)) {
    if (line.trim() === '') {
      if (some) yield fields;
      fields = new Map();
      some = false;
      continue;
    }
    some = true;
    const colon = line.indexOf(':');
    if (colon <= 0 || colon > 20 || /^\s/.test(line)) continue;
    const name = line.slice(0, colon).toLowerCase();
    if (WANTED.has(name) && !fields.has(name))
      fields.set(name, line.slice(colon + 1, colon + MOST_VALUE).trim());
  }
  if (some) yield fields;
}

/**
 * The paths of a package's list, with their slash, but for directories as far as they can be told:
 * what is in one follows it. On a merged-/usr root `/lib` is a directory of many packages and the
 * link of none.
 */
export function* listedFiles(text: string): Generator<string> {
  let before = '';
  for (const line of lines(text)) {
    if (before.startsWith('/') && !line.startsWith(`${before}/`)) yield before;
    before = line;
  }
  if (before.startsWith('/')) yield before;
}

export interface Diversion {
  readonly to: string;
  /** Whose file stays; null = nobody's. */
  readonly by: string | null;
}

/** From the path that packages ship, with its slash, to where it really is. */
export function parseDiversions(text: string): ReadonlyMap<string, Diversion> {
  const diversions = new Map<string, Diversion>();
  let [from, to] = ['', ''];
  for (const line of lines(text)) {
    if (from === '' || to === '') {
      if (!line.startsWith('/')) break;
      if (from === '') from = line;
      else to = line;
      continue;
    }
    diversions.set(from, { to, by: line === ':' ? null : line });
    [from, to] = ['', ''];
  }
  return diversions;
}

/** Where a package's file is when others' files may be diverted. */
export function divert(
  path: string,
  { name }: Package,
  diversions: ReadonlyMap<string, Diversion>,
): string {
  const diversion = diversions.get(path);
  return diversion === undefined || diversion.by === name ? path : diversion.to;
}
