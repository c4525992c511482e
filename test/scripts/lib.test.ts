/** What scripts/lib.sh installs, and what it says when it cannot. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import test, { afterEach, beforeEach } from 'node:test';
import { Place, REPOSITORY } from './place.ts';

let place: Place;
beforeEach(() => {
  place = new Place();
  place.command('id', 'echo 0');
  place.command('systemctl');
});
afterEach(() => place.remove());

/** What dpkg-query says when `names` are installed and `gone` is removed but known. */
function installed(...names: string[]): void {
  const words = names.map((name) => `installed:${name}`).join(' ');
  place.command('dpkg-query', `printf 'config-files:gone ${words} '; exit 1`);
}

/** Debian's maintainer scripts must be told not to start servers, and the machine left as it was. */
const NEED = (packages: string) =>
  `POLICY=$REPOSITORY/policy-rc.d; need_debian ${packages}; status=$?;
   test ! -e "$POLICY" && exit $status`;

const aptCalls = () => place.calls().filter((call) => call.startsWith('apt-get'));

test('need_debian: does nothing and says nothing when all is there', () => {
  installed('cpio', 'zsh');
  place.command('apt-get', 'exit 1');
  const { status, stderr } = place.lib(NEED('zsh cpio'));
  assert.equal(stderr, '');
  assert.equal(status, 0);
  assert.deepEqual(aptCalls(), []);
});

test('need_debian: installs only what is missing, and lets no server start', () => {
  installed('cpio');
  place.command('apt-get', 'grep -q "^exit 101" "$REPOSITORY/policy-rc.d"');
  const { status, stderr } = place.lib(NEED('cpio gone rpcbind'));
  assert.match(stderr, /^==> installing Debian packages: gone rpcbind$/m);
  assert.equal(status, 0);
  const install = aptCalls().find((call) => call.includes(' install '));
  assert.match(install ?? '', /Install-Recommends=false.* install gone rpcbind$/);
  assert.ok(place.calls().some((call) => /^systemctl .*disable rpcbind/.test(call)));
});

test('need_debian: what a killed run has left is cleared away, what is not ours stays', () => {
  installed('cpio');
  const left = 'POLICY=$REPOSITORY/policy-rc.d; forbid_services;';
  assert.equal(place.lib(`${left} ${NEED('cpio')}`).status, 0);
  assert.equal(place.lib(`echo other >"$REPOSITORY/policy-rc.d"; ${NEED('cpio')}`).status, 1);
});

test('need_debian: stale package lists are updated, once', () => {
  installed();
  place.command(
    'apt-get',
    'case "$*" in *update) touch "$REPOSITORY/new" ;; *) test -e "$REPOSITORY/new" ;; esac',
  );
  assert.equal(place.lib(NEED('cpio')).status, 0);
  assert.equal(aptCalls().filter((call) => call.endsWith(' update')).length, 1);
});

test('need_debian: without a network, the last words of apt-get, an error and a hint', () => {
  installed();
  place.command('apt-get', 'echo "E: Unable to fetch some archives"; exit 100');
  const { status, stderr } = place.lib(NEED('cpio'));
  assert.match(stderr, /^E: Unable to fetch.*\nerror: apt-get could not .*\nhint: .*network/m);
  assert.equal(status, 69);
  assert.ok(!readdirSync(place.repository).includes('policy-rc.d'));
});

test('need_debian: says what to do when not root', () => {
  installed('cpio');
  place.command('id', 'echo 1000');
  const { status, stderr } = place.lib(NEED('cpio zsh attr'));
  assert.equal(
    stderr,
    'error: Debian packages are missing: zsh attr\n' +
      'hint: as root: apt-get install --no-install-recommends zsh attr\n',
  );
  assert.equal(status, 77);
});

test('need_node: a Node that is too old is not used, and an old npm fetches a new one', () => {
  place.command('node', 'exit 1');
  place.command(
    'npm',
    `case "$*" in *install*)
       while [ "$1" != --prefix ]; do shift; done
       mkdir -p "$2/node_modules/.bin"
       printf '#!/bin/sh\necho new\n' >"$2/node_modules/.bin/node"
       chmod 755 "$2/node_modules/.bin/node" ;;
     esac`,
  );
  const { status, stdout } = place.lib('need_node; need_node; (unset NODE_ROOT; need_node); node');
  assert.equal(stdout, 'new\n');
  assert.equal(status, 0);
  assert.equal(place.calls().filter((call) => call.includes(' install ')).length, 1);
});

test('with_lock: one after the other', () => {
  const { stdout } = place.lib(
    `slow() { echo in; sleep 0.2; echo out; }
     with_lock "$CACHE/lock" slow & with_lock "$CACHE/lock" slow & wait`,
  );
  assert.equal(stdout, 'in\nout\nin\nout\n');
});

test('with_lock: the status of what ran', () => {
  assert.equal(place.lib('with_lock "$CACHE/lock" exit 7').status, 7);
});

test('scripts/build: a second run installs and compiles nothing', () => {
  for (const name of ['apt-get', 'npm', 'make', 'g++', 'tsc']) place.command(name, 'exit 1');
  const { status, stderr } = place.run('bash', `'${join(REPOSITORY, 'scripts/build')}'`);
  assert.equal(stderr, '');
  assert.equal(status, 0);
  assert.deepEqual(place.calls(), []);
});
