/** Scripts of this folder without types: stripped at run time they would cost 20 MiB of memory. */
import * as fs from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import * as path from 'node:path';
import { pathToFileURL } from 'node:url';

const REPOSITORY = path.join(import.meta.dirname, '../..');

/** A script of this folder, put into `work`, against the compiled project; its path. */
export function compiled(name: string, work: string): string {
  const source = fs.readFileSync(path.join(import.meta.dirname, name), 'utf8');
  const file = path.join(work, name.replace(/ts$/, 'mjs'));
  const at = (place: string): string => pathToFileURL(path.join(REPOSITORY, place)).href;
  const text = stripTypeScriptTypes(source)
    .replaceAll(
      /'\.\.\/\.\.\/src\/([^']+)\.ts'/g,
      (_, module: string) => `'${at(`dist/${module}.js`)}'`,
    )
    .replaceAll(
      /'\.\.\/\.\.\/(build\/[^']+)'/g,
      (_, addon: string) => `'${path.join(REPOSITORY, addon)}'`,
    );
  fs.writeFileSync(file, text);
  return file;
}
