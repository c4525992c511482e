/** Kernel modules that modprobe cannot load. Owns the reading of modules.dep. */
import { fault, type Fault, type Linted } from './fault.ts';

const MODULE = /\.ko(?:\.(?:gz|xz|zst))?$/;
const MOST_INDEX = 16 << 20;
const TREES = 'lib/modules';

export function* moduleFaults({ files }: Linted): Generator<Fault> {
  for (const version of files.list(TREES)) {
    const folder = `${TREES}/${version}`;
    const index = files.file(`${folder}/modules.dep`);
    if (index === null) {
      if (hasModules(folder, files))
        yield fault('no-modules-dep', folder, 'it has modules, and no modules.dep to find them by');
      continue;
    }
    for (const line of files.lines(index, MOST_INDEX)) {
      const [module = '', others = ''] = line.split(':', 2);
      if (!MODULE.test(module) || files.file(at(folder, module)) === null) continue;
      for (const other of others.split(' ').filter((one) => one !== ''))
        if (files.file(at(folder, other)) === null && !files.isTired)
          yield fault(
            'module-without',
            at(folder, module),
            `it depends on ${other}, which is not there`,
          );
    }
  }
}

/** depmod writes an absolute path for a module outside the directory. */
const at = (folder: string, module: string): string =>
  module.startsWith('/') ? module.slice(1) : `${folder}/${module}`;

function hasModules(folder: string, files: Linted['files']): boolean {
  const waiting = [folder];
  const seen = new Set<string>();
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const real = files.find(next)?.path;
    if (real === undefined || seen.has(real)) continue;
    seen.add(real);
    for (const name of files.list(real)) {
      if (MODULE.test(name)) return true;
      if (files.isDirectory(`${real}/${name}`)) waiting.push(`${real}/${name}`);
    }
  }
  return false;
}
