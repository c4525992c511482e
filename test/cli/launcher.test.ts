/** What the programs say where they cannot start. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { afterEach, beforeEach } from 'node:test';
import ts from 'typescript';
import { lacks } from '../capabilities.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
let place = '';

/** A place with no more of the built program than its launcher. */
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'nfsroot-trace-launcher-'));
  for (const name of ['bin.cjs', 'launch.cjs', 'load.cjs', 'nbic/nbic.cjs']) {
    cpSync(join(REPOSITORY, 'dist/cli', name), join(place, 'dist/cli', name));
  }
  const links = { recursive: true, verbatimSymlinks: true };
  cpSync(join(REPOSITORY, 'scripts/bin'), join(place, 'scripts/bin'), links);
});
afterEach(() => rmSync(place, { recursive: true }));

const start = (file: string, ...nodeOptions: string[]) =>
  spawnSync(process.execPath, [...nodeOptions, join(place, 'dist/cli', file)], {
    encoding: 'utf8',
  });
const trace = (...nodeOptions: string[]) => start('bin.cjs', ...nodeOptions);

function makeAddon(): void {
  mkdirSync(join(place, 'build/Release'), { recursive: true });
  writeFileSync(join(place, 'build/Release/nfsroot_trace.node'), '');
}

test('a Node that is too old: one line, a hint, status 78', () => {
  const old = join(place, 'old.cjs');
  writeFileSync(
    old,
    `delete require('zlib').createZstdCompress;
    Object.defineProperty(process.versions, 'node', { value: '22.14.0' });`,
  );
  const { status, stderr } = trace('--require', old);
  assert.match(
    stderr,
    /^error: trace needs Node 22\.15 or newer \(of 23: 23\.8\), this is 22\.14\.0\nhint: .*\n$/,
  );
  assert.equal(status, 78);
});

test('the other programs are started the same way, and say who they are', () => {
  const { status, stderr } = start('nbic/nbic.cjs');
  assert.match(stderr, /^error: nbic's native addon is not built\n/);
  assert.equal(status, 78);
});

test('SIGUSR1 opens no debugger', () => {
  const load = join(place, 'dist/cli/load.cjs');
  writeFileSync(
    load,
    'module.exports = () => process.kill(process.pid, "SIGUSR1") && setTimeout(() => {}, 100);',
  );
  makeAddon();
  const { status, stderr } = trace();
  assert.deepEqual([status, stderr], [0, '']);
});

test('the launchers hold nothing that Node 8 cannot parse or load', () => {
  const { bin } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')) as {
    bin: Record<string, string>;
  };
  const installed = Object.values(bin).map((file) =>
    file.replace(/^dist/, 'src').replace(/\.cjs$/, '.cts'),
  );
  for (const file of ['src/cli/launch.cts', ...installed]) {
    const source = readFileSync(join(REPOSITORY, file), 'utf8');
    const to = (target: ts.ScriptTarget) =>
      ts.transpileModule(source, {
        compilerOptions: { target, module: ts.ModuleKind.CommonJS, removeComments: true },
      }).outputText;
    // Node 8 is ECMAScript 2017: what compiles to the same text for both has nothing newer.
    assert.equal(to(ts.ScriptTarget.ES2017), to(ts.ScriptTarget.ES2023), file);
    assert.doesNotMatch(to(ts.ScriptTarget.ES2017), /\bimport\(|require\('node:/, file);
  }
});

test('the addon is not built: a hint, status 78', () => {
  const { status, stderr } = trace();
  assert.match(stderr, /^error: trace's native addon is not built\nhint: run scripts\/build .*\n$/);
  assert.equal(status, 78);
});

test(
  'by capabilities in a folder that is closed: what is there is found',
  {
    skip: lacks('root'),
  },
  () => {
    makeAddon();
    const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
    const kept = ['--inh-caps=-all,+dac_read_search', '--ambient-caps=-all,+dac_read_search'];
    const program = [process.execPath, join(place, 'dist/cli/bin.cjs')];
    const { stderr } = spawnSync('setpriv', [...nobody, ...kept, ...program], {
      encoding: 'utf8',
      cwd: '/',
    });
    assert.match(stderr, /^error: a part of trace does not load: /);
  },
);

test('a part is missing: which, a hint, status 78', () => {
  makeAddon();
  const { status, stderr } = trace();
  assert.match(stderr, /^error: a part of trace does not load: .*main\.js.*\nhint: .*\n$/);
  assert.equal(status, 78);
});

test('a failure while loading is told as a bug, status 70', () => {
  makeAddon();
  writeFileSync(join(place, 'dist/cli/main.js'), "throw new Error('why');");
  const { status, stderr } = trace();
  assert.match(stderr, /^error: trace did not start: Error: why\n/);
  assert.equal(status, 70);
});

test("the repository's trace says so when nothing is built, or what starts it is not", () => {
  const run = () =>
    spawnSync(join(place, 'scripts/bin/nfsroot-trace'), ['--version'], { encoding: 'utf8' });
  const before = run();
  rmSync(join(place, 'dist'), { recursive: true });
  for (const { status, stderr } of [before, run()]) {
    assert.equal(stderr, 'error: trace is not built\nhint: run scripts/build\n');
    assert.equal(status, 78);
  }
});
