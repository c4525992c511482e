/**
 * What `--init preboot` needs beyond its own programs: /config, and what that asks for. Owns how
 * /config is read here, which is as the script reads it in the image (inits/preboot.sh).
 */
import type { Closure } from './closure.ts';
import { ModuleTree, underscored } from './needs/module-tree.ts';
import type { RootFiles } from './needs/root-files.ts';
import type { Problem } from './plan-types.ts';

const CONFIG = 'config';
const MODULES = 'lib/modules';
/** The script reads it line by line; nobody writes more. */
const MAX_CONFIG_BYTES = 64 * 1024;
/** Bytes of a line in a message. */
const MOST_SHOWN = 80;
const ARRAY_CONFIGS = ['etc/mdadm.conf', 'etc/mdadm/mdadm.conf'];

export interface PrebootOptions {
  readonly files: RootFiles;
  readonly closure: Closure;
  readonly problems: Problem[];
}

interface Adding extends PrebootOptions {
  /** What has its reason already: many names may lead to one file, and one link to many. */
  readonly added: Set<string>;
}

/** Brings the configuration into the image; returns the names of the programs that it needs. */
export function prebootPrograms(options: PrebootOptions): string[] {
  const { files, problems } = options;
  const adding: Adding = { ...options, added: new Set() };
  const programs: string[] = [];
  const config = addFile(CONFIG, adding);
  // Before the modules, which may leave no effort for a look.
  const arrays = ARRAY_CONFIGS.filter((path) => addFile(path, adding) !== null);
  if (config === null)
    problems.push({
      code: 'no-config',
      message: '--init preboot reads /config, which the root does not have',
      hint: 'put it there, for example MODULES="e1000 aoe" and AOE_IFACES=eth0',
    });
  else {
    const text = files.read(config, 0, MAX_CONFIG_BYTES).toString('latin1');
    problems.push(...refusedLines(text));
    const modules = wordsOf('MODULES', text);
    if (modules.length > 0) programs.push('modprobe');
    addModules(modules, adding);
    if (wordsOf('AOE_IFACES', text).length > 0) programs.push('ip');
  }
  return arrays.length > 0 ? [...programs, 'mdadm'] : programs;
}

/** What the script would say on the console of each boot, in one problem for however many lines. */
function refusedLines(text: string): Problem[] {
  const refused = text
    .split('\n')
    .map((line, index) => ({ line, number: index + 1 }))
    .filter(({ line }) => !isUnderstood(line));
  const [first] = refused;
  if (first === undefined) return [];
  const shown = Buffer.from(first.line.slice(0, MOST_SHOWN), 'latin1').toString();
  return [
    {
      code: 'config-not-understood',
      message: `the generated /init passes over ${refused.length} lines of /config, the first is line ${first.number}: ${shown}`,
      hint: 'it knows MODULES= and AOE_IFACES= with words, LINK_SETTLE= and DISCOVER_SETTLE= with whole seconds, and comments with # at the beginning',
    },
  ];
}

function isUnderstood(line: string): boolean {
  if (line === '' || /^(?:#|MODULES=|AOE_IFACES=)/.test(line)) return true;
  return /^(?:LINK|DISCOVER)_SETTLE=/.test(line) && /^[0-9]+$/.test(valueOf(line));
}

/** Behind the first `=`, without quotes around it. */
function valueOf(line: string): string {
  return line.slice(line.indexOf('=') + 1).replace(/^(["'])(.*)\1$/s, '$2');
}

function wordsOf(name: string, text: string): string[] {
  const values = text
    .split('\n')
    .filter((line) => line.startsWith(`${name}=`))
    .map(valueOf);
  return (values.at(-1) ?? '').split(/[ \t]+/).filter((word) => word !== '');
}

/**
 * Of every kernel that the root has modules for; what they need follows from them. A name is missing
 * only if all that could have it was looked into.
 */
function addModules(names: readonly string[], adding: Adding): void {
  const { files, problems } = adding;
  const kernels = files
    .list(MODULES)
    .map((version) => new ModuleTree(`${MODULES}/${version}`, files));
  const [asked, modules] = [new Set<string>(), new Set<string>()];
  for (const name of names) {
    // 64 KB have thousands of spellings of one alias, which stands for 1000 modules of each kernel.
    if (asked.has(underscored(name))) continue;
    asked.add(underscored(name));
    if (!files.afford(kernels.length, MODULES)) break;
    const found = kernels.flatMap((kernel) => kernel.find(name));
    if (!files.afford(found.length, MODULES)) break;
    for (const module of found) modules.add(module);
    const known = found.length > 0 || kernels.some((kernel) => kernel.isBuiltIn(name));
    if (!known && !files.isTired && kernels.every((kernel) => kernel.isWhole))
      problems.push({
        code: 'init-module-missing',
        message: `the generated /init loads the module ${name}, which no kernel of the root has`,
        hint: "put it into the root's /lib/modules; if the kernel that boots has it built in, take it out of MODULES=",
      });
  }
  for (const module of modules) addFile(module, adding);
}

/** Adds a regular file of the root and the links to it; returns where it is. */
function addFile(name: string, { files, closure, added }: Adding): string | null {
  const found = files.find(name);
  if (found?.stat.type !== 'file') return null;
  const { path, through } = found;
  for (const one of [...through, path])
    if (!added.has(one)) {
      added.add(one);
      closure.add(one, { kind: 'init', about: null });
    }
  return path;
}
