/**
 * What `--init preboot` needs beyond its own programs: /config, and what that asks for. Owns how
 * /config is read here, which is as the script reads it in the image (inits/preboot.sh).
 */
import type { Closure, DraftReason } from './closure.ts';
import type { Problem } from './plan-types.ts';
import type { Resolver } from './resolve.ts';
import { toBytes } from './resolve.ts';
import type { Tree } from './tree.ts';

const CONFIG = 'config';
/** The script reads it line by line; nobody writes more. */
const MAX_CONFIG_BYTES = 64 * 1024;
const ARRAY_CONFIGS = ['etc/mdadm.conf', 'etc/mdadm/mdadm.conf'];

export interface PrebootOptions {
  readonly tree: Tree;
  readonly resolver: Resolver;
  readonly closure: Closure;
  readonly problems: Problem[];
}

/** Brings the configuration into the image; returns the names of the programs that it needs. */
export function prebootPrograms(options: PrebootOptions): string[] {
  const { tree, problems } = options;
  const programs: string[] = [];
  const config = addFile(CONFIG, options);
  if (config === null)
    problems.push({
      code: 'no-config',
      message: '--init preboot reads /config, which the root does not have',
      hint: 'put it there, for example MODULES="e1000 aoe" and AOE_IFACES=eth0',
    });
  else {
    const text = tree.read(toBytes(config), 0, MAX_CONFIG_BYTES).toString('latin1');
    if (isSet('MODULES', text)) programs.push('modprobe');
    if (isSet('AOE_IFACES', text)) programs.push('ip');
  }
  const arrays = ARRAY_CONFIGS.filter((path) => addFile(path, options) !== null);
  return arrays.length > 0 ? [...programs, 'mdadm'] : programs;
}

function isSet(name: string, text: string): boolean {
  const values = text
    .split('\n')
    .filter((line) => line.startsWith(`${name}=`))
    .map((line) => line.slice(name.length + 1).replace(/^(["'])(.*)\1$/, '$2'));
  return (values.at(-1) ?? '').trim() !== '';
}

/** Adds a regular file of the root and the links to it; returns where it is. */
function addFile(name: string, { resolver, closure }: PrebootOptions): string | null {
  const { path, through } = resolver.resolve('', name, true);
  if (path === null || resolver.lstat(path)?.type !== 'file') return null;
  const reason: DraftReason = { kind: 'init', about: null };
  for (const link of through) closure.add(link, reason);
  closure.add(path, reason);
  return path;
}
