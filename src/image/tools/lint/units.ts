/** Services of systemd whose program or user is not in the image. Owns the reading of their lines. */
import { PROGRAM_FOLDERS } from '../../init-scripts.ts';
import type { Accounts } from './accounts.ts';
import { type Fault, type Linted, note } from './fault.ts';

const FOLDERS = ['etc/systemd/system', 'usr/lib/systemd/system', 'lib/systemd/system'];
/** Blanks around the value are taken off afterwards: with them it would try each of them twice. */
const LINE =
  /^\s*(Exec(?:StartPre|Start|StartPost)|Condition(?:PathExists|File\w+)|User|Group|DynamicUser)\s*=(.*)$/s;
/** Signs before a program (systemd.service(5)); `-`: it may fail. */
const PREFIX = /^[-@:+!|]*/;

export function* unitFaults(linted: Linted, accounts: Accounts): Generator<Fault> {
  const { files } = linted;
  const seen = new Set<string>();
  for (const folder of FOLDERS)
    for (const name of files.list(folder)) {
      const path = name.endsWith('.service') ? files.file(`${folder}/${name}`) : null;
      if (path === null || seen.has(path)) continue;
      seen.add(path);
      yield* unitFaultsOf(path, linted, accounts);
    }
}

function* unitFaultsOf(path: string, { files }: Linted, accounts: Accounts): Generator<Fault> {
  const lines = files.lines(path).map((line) => {
    const [, key, value] = LINE.exec(line) ?? [];
    return [key, value?.trim()] as const;
  });
  const isDynamic = lines.some(
    ([key, value]) => key === 'DynamicUser' && /^(?:yes|1|true|on)$/.test(value ?? ''),
  );
  const conditions = lines.filter(([key]) => key?.startsWith('Condition') === true);
  // Such a service is not started without its program.
  const wanted = new Set(conditions.map(([, value]) => value));
  for (const [key = '', value = ''] of lines) {
    if (value === '' || key.startsWith('Condition') || value.includes('%')) continue;
    if (key.startsWith('Exec')) {
      const [signs = ''] = PREFIX.exec(value) ?? [];
      const [program = ''] = value
        .slice(signs.length)
        .replace(/^["']/, '')
        .split(/["'\s]/);
      const matters = !signs.includes('-') && program !== '' && !wanted.has(program);
      if (matters && !isThere(program, files))
        yield note('unit-program', path, `${key}= names ${program}, which is not there`);
    } else if (key !== 'DynamicUser' && !isDynamic) {
      const known = key === 'User' ? accounts.users : accounts.groups;
      if (!/^\d+$/.test(value) && value !== 'root' && !known.has(value))
        yield note('unit-account', path, `${key}= names ${value}, which is not there`);
    }
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
