/**
 * Services and sockets of systemd whose program or user is not in the image. Owns which units there
 * are, and what their settings come to.
 */
import { PROGRAM_FOLDERS } from '../../init-scripts.ts';
import type { Accounts } from './accounts.ts';
import { type Fault, type Linted, note } from './fault.ts';
import { unitLines } from './unit-lines.ts';

/** What is in an earlier one hides what has its name in a later one (systemd.unit(5)). */
const FOLDERS = ['etc', 'run', 'usr/local/lib', 'usr/lib', 'lib'].map(
  (above) => `${above}/systemd/system`,
);
const UNIT = /\.(?:service|socket)$/;
/** Blanks around the value are taken off afterwards: with them it would try each of them twice. */
const LINE =
  /^(Exec(?:Condition|StartPre|Start|StartPost|Reload|StopPre|Stop|StopPost)|Condition(?:PathExists|File\w+)|User|Group|DynamicUser)\s*=(.*)$/s;
/** Signs before a program (systemd.service(5)); `-`: it may fail. */
const PREFIX = /^[-@:+!|]*/;

interface Setting {
  readonly value: string;
  /** The file that it is in. */
  readonly path: string;
}

interface Folder {
  readonly path: string;
  readonly names: ReadonlySet<string>;
}

export function* unitFaults(linted: Linted, accounts: Accounts): Generator<Fault> {
  const { files } = linted;
  const folders = FOLDERS.map((path) => ({ path, names: new Set(files.list(path)) }));
  const names = new Set<string>();
  const paths = new Set<string>();
  for (const folder of folders)
    for (const name of folder.names) {
      if (!UNIT.test(name) || names.has(name)) continue;
      names.add(name);
      // Null of a link to /dev/null: it is masked.
      const path = files.file(`${folder.path}/${name}`);
      if (path === null || paths.has(path)) continue;
      paths.add(path);
      const ownName = path.slice(path.lastIndexOf('/') + 1);
      const dropIns = [...new Set([name, ownName])].flatMap((one) =>
        dropInsOf(one, folders, files),
      );
      yield* unitFaultsOf(settingsOf([path, ...dropIns], files), linted, accounts);
    }
}

/** In the order in which they are read: by their names, wherever they are. */
function dropInsOf(unit: string, folders: readonly Folder[], files: Linted['files']): string[] {
  const found = new Map<string, string>();
  for (const { path, names } of folders) {
    const folder = `${path}/${unit}.d`;
    const inside = names.has(`${unit}.d`) ? files.list(folder) : [];
    // Links can make one folder that of any number of units.
    if (!files.afford(inside.length, folder)) break;
    for (const name of inside)
      if (name.endsWith('.conf') && !found.has(name)) found.set(name, `${folder}/${name}`);
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path);
}

function settingsOf(
  paths: readonly string[],
  files: Linted['files'],
): ReadonlyMap<string, readonly Setting[]> {
  const settings = new Map<string, Setting[]>();
  for (const path of paths)
    for (const line of unitLines(files.lines(path))) {
      const [, key, value = ''] = LINE.exec(line) ?? [];
      if (key === undefined) continue;
      const before = settings.get(key);
      // An empty value takes back what came before.
      if (value.trim() === '') settings.delete(key);
      else if (before === undefined) settings.set(key, [{ value: value.trim(), path }]);
      else before.push({ value: value.trim(), path });
    }
  return settings;
}

function* unitFaultsOf(
  settings: ReadonlyMap<string, readonly Setting[]>,
  { files }: Linted,
  accounts: Accounts,
): Generator<Fault> {
  const isDynamic = /^(?:yes|1|true|on)$/.test(settings.get('DynamicUser')?.at(-1)?.value ?? '');
  const conditions = [...settings].filter(([key]) => key.startsWith('Condition'));
  // Such a unit is not started without its program.
  const wanted = new Set(conditions.flatMap(([, all]) => all.map(({ value }) => value)));
  for (const [key, all] of settings)
    for (const { value, path } of key.startsWith('Exec') ? all : []) {
      const [signs = ''] = PREFIX.exec(value) ?? [];
      const [program = ''] = value
        .slice(signs.length)
        .replace(/^["']/, '')
        .split(/["'\s]/, 1);
      const matters = !signs.includes('-') && program !== '' && !wanted.has(program);
      if (matters && !value.includes('%') && !isThere(program, files))
        yield note('unit-program', path, `${key}= names ${program}, which is not there`);
    }
  if (isDynamic) return;
  for (const [key, known] of [
    ['User', accounts.users],
    ['Group', accounts.groups],
  ] as const) {
    const { value, path } = settings.get(key)?.at(-1) ?? { value: 'root', path: null };
    if (!/^\d+$/.test(value) && value !== 'root' && !value.includes('%') && !known.has(value))
      yield note('unit-account', path, `${key}= names ${value}, which is not there`);
  }
}

/** Or may be: there is an end to looking. */
function isThere(program: string, files: Linted['files']): boolean {
  const places = program.includes('/')
    ? [program]
    : PROGRAM_FOLDERS.map((folder) => `${folder}/${program}`);
  const isFound = places.some((place) => {
    const stat = files.find(place)?.stat;
    return stat?.type === 'file' && (stat.mode & 0o111) !== 0;
  });
  return isFound || files.isTired;
}
