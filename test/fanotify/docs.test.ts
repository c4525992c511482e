/** The examples of the public module compile against it. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';
import ts from 'typescript';

const repository = path.join(import.meta.dirname, '../..');

function examples(): string[] {
  const page = fs.readFileSync(path.join(repository, 'docs/fanotify-ts.md'), 'utf8');
  const module = fs.readFileSync(path.join(repository, 'src/fanotify-ts/index.ts'), 'utf8');
  const inPage = [...page.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code ?? '');
  const inModule = [...module.matchAll(/@example\n([^]*?)\*\//g)].map(([, code]) =>
    (code ?? '').replaceAll(/^ \* ?/gm, ''),
  );
  assert.ok(inPage.length > 0 && inModule.length > 0);
  return [...inPage, ...inModule];
}

test('the examples compile', () => {
  const config = ts.readConfigFile(path.join(repository, 'tsconfig.json'), (file) =>
    ts.sys.readFile(file),
  );
  const { options } = ts.convertCompilerOptionsFromJson(
    (config.config as { compilerOptions: object }).compilerOptions,
    repository,
  );
  options.paths = {
    'nfsroot-trace/fanotify-ts': [path.join(repository, 'src/fanotify-ts/index.ts')],
  };
  const sources = new Map(
    examples().map((code, index) => [path.join(repository, `example-${index}.ts`), code]),
  );
  const host = ts.createCompilerHost(options);
  const fileExists = host.fileExists.bind(host);
  host.fileExists = (file) => sources.has(file) || fileExists(file);
  const getSourceFile = host.getSourceFile.bind(host);
  host.getSourceFile = (file, language, ...rest) => {
    const code = sources.get(file);
    return code === undefined
      ? getSourceFile(file, language, ...rest)
      : ts.createSourceFile(file, code, language);
  };
  const program = ts.createProgram({ rootNames: [...sources.keys()], options, host });
  const messages = ts
    .getPreEmitDiagnostics(program)
    .map(({ file, messageText }) => `${file?.fileName ?? ''}: ${JSON.stringify(messageText)}`);
  assert.deepEqual(messages, []);
});
