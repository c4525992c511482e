/** The pages lead where they say, and are all to be found; the folders are those of architecture.md. */
import assert from 'node:assert/strict';
import { globSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

const REPOSITORY = join(import.meta.dirname, '../..');
const PAGES = ['README.md', ...globSync('docs/*.md', { cwd: REPOSITORY })];

const text = (page: string): string => readFileSync(join(REPOSITORY, page), 'utf8');
const withoutCode = (page: string): string => text(page).replace(/^```[^]*?^```$/gm, '');

/** As forges make them of headings. */
const anchorsOf = (page: string): string[] =>
  [...withoutCode(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );

const linksOf = (page: string): { readonly file: string; readonly anchor: string }[] =>
  [...withoutCode(page).matchAll(/\]\(([^)#\s]*)(?:#([^)\s]*))?\)/g)].map(
    ([, path = '', anchor = '']) => ({
      file: path === '' ? page : normalize(join(dirname(page), path)),
      anchor,
    }),
  );

for (const page of PAGES)
  test(`${page}: every link leads somewhere`, () => {
    for (const { file, anchor } of linksOf(page)) {
      assert.ok(statSync(join(REPOSITORY, file), { throwIfNoEntry: false }), file);
      if (anchor !== '') assert.ok(anchorsOf(file).includes(anchor), `${file}#${anchor}`);
    }
  });

test('README.md leads to every page', () => {
  const linked = new Set(linksOf('README.md').map(({ file }) => file));
  assert.deepEqual(
    PAGES.slice(1).filter((page) => !linked.has(page)),
    [],
  );
});

test('architecture.md has every room, and no others', () => {
  const folders = (parent: string): string[] =>
    readdirSync(join(REPOSITORY, parent), { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [`${parent}/${entry.name}`] : [],
    );
  const rows = [...text('docs/architecture.md').matchAll(/^\| (`(?:src|native)\/.*?) \| /gm)];
  const told = rows.flatMap(([, cell = '']) =>
    cell.split(', ').map((name) => name.replaceAll('`', '')),
  );
  // Further ones of a row are beside the first: `src/image/needs`, `elf`.
  const inImage = (name: string): string => (name.includes('/') ? name : `src/image/${name}`);
  assert.deepEqual(
    told.map(inImage).sort(),
    [...folders('native'), ...folders('src'), ...folders('src/image')].sort(),
  );
});
