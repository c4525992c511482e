/** scripts/env in every shell. */
import assert from 'node:assert/strict';
import test, { afterEach, beforeEach } from 'node:test';
import { lacks } from '../capabilities.ts';
import { Place } from './place.ts';

let place: Place;
beforeEach(() => (place = new Place()));
afterEach(() => place.remove());

const EVAL = 'eval "$("$REPOSITORY/scripts/env")"';

for (const shell of ['bash', 'dash', 'zsh'] as const) {
  const skip = shell === 'zsh' && lacks('zsh');

  test(`${shell}: node and trace are on the PATH, once`, { skip }, () => {
    const { status, stdout, stderr } = place.run(
      shell,
      `${EVAL}; first=$PATH; ${EVAL}
       command -v trace; node -p "process.features.typescript"; test "$first" = "$PATH"`,
    );
    assert.equal(stderr, '');
    assert.equal(stdout, `${place.repository}/scripts/bin/trace\nstrip\n`);
    assert.equal(status, 0);
  });

  test(`${shell}: the eval fails when Node cannot be installed`, { skip }, () => {
    place.command('node', 'exit 1');
    place.command('npm', 'test "$1" = --version');
    const { status, stdout, stderr } = place.run(shell, `${EVAL} || echo failed`, {
      NFSROOT_TRACE_CACHE: `${place.repository}/cache`,
    });
    assert.match(stderr, /^==> installing Node.*\nerror: npm could not install Node.*\nhint: /);
    assert.equal(stdout, 'failed\n');
    assert.equal(status, 0);
  });
}

test('a folder that no PATH can hold is refused', () => {
  const { status, stdout, stderr } = place.run('bash', '"$REPOSITORY/scripts/env"', {
    NFSROOT_TRACE_CACHE: `${place.repository}/a:b`,
  });
  assert.match(stderr, /error: a folder with a colon/);
  assert.equal(stdout, 'false\n');
  assert.equal(status, 78);
});
