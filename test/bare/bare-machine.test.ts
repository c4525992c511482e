/**
 * A fresh clone on a bare machine: a new `debootstrap --variant=minbase` tree with nothing but apt
 * in it. Owns that tree, from making it to removing it. What the machine itself knows about its
 * way to the mirrors (proxy, certificates, npm's registry) goes along: a bare machine at the same
 * place would have it too.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { lacks } from '../capabilities.ts';

const SUITE = 'bookworm';
const REPOSITORY = join(import.meta.dirname, '../..');
const CACHE = join(
  process.env['NFSROOT_TRACE_CACHE'] ?? join(homedir(), '.cache/nfsroot-trace'),
  'bare',
);
/** What all commands on it said, to look into while they run and afterwards. */
const LOG = join(CACHE, 'last.log');
/** The clone's place on the bare machine. */
const CLONE = '/root/nfsroot-trace';

const skip = lacks('root', 'debootstrap', 'chroot', 'mount');
let tree = '';

before(() => {
  if (skip !== false) return;
  mkdirSync(CACHE, { recursive: true });
  rmSync(LOG, { force: true });
  const base = makeBase();
  tree = mkdtempSync(join(CACHE, 'machine-'));
  execFileSync('cp', ['-a', '--reflink=auto', `${base}/.`, tree]);
  chmodSync(tree, 0o755); // it is the root folder of other users too
  takeSettings();
  execFileSync('git', ['clone', '--quiet', '--no-local', REPOSITORY, join(tree, CLONE)], {
    // The clone in CI may belong to someone else.
    env: {
      ...process.env,
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
    },
  });
});

after(() => {
  // Every mount in it was in a namespace that is gone.
  if (tree !== '') rmSync(tree, { recursive: true, force: true });
});

test('scripts/test --quick installs what it needs and passes', { skip }, async (t) => {
  // All of them; with a pattern nothing is linted, which has been done by whoever runs this.
  const output = await onBareMachine('scripts/test --quick --only .');
  t.diagnostic(output.trim().split('\n').at(-1) ?? '');
  assert.match(output, /^[1-9]\d* passed, 0 failed, \d+ skipped\n$/m);
});

test('a second run installs and compiles nothing, and needs no network', { skip }, async () => {
  const output = await onBareMachine(
    'unshare --net sh -c "ip link set lo up && scripts/test --quick --only ^test/verdict"',
  );
  assert.doesNotMatch(output, /installing|updating|compiling/);
});

test('scripts/build, env and trace work', { skip }, async () => {
  const output = await onBareMachine('scripts/build && eval "$(scripts/env)" && trace --version');
  assert.match(output, /\d+\.\d+\.\d+/);
});

test(
  'scripts/install makes it a program that needs no repository, until it is uninstalled',
  {
    skip,
  },
  async () => {
    const nobody =
      'cd / && setpriv --reuid=65534 --regid=65534 --clear-groups /usr/local/bin/trace';
    const output = await onBareMachine(
      `scripts/install && chmod 700 . && (${nobody} sessions; test $? = 66) && scripts/install --uninstall`,
    );
    assert.match(output, /installed; systemd does not run here/);
    assert.match(output, /error: there is no database \/var\/lib\/nfsroot-trace\/trace\.db/);
    assert.match(output, /removed; kept: /);
  },
);

test('scripts/demo builds its machines', { skip }, async () => {
  const output = await onBareMachine('scripts/demo --build');
  assert.match(output, /built sarge-disk/);
});

/** The tree that debootstrap makes, made once and kept. */
function makeBase(): string {
  const base = join(CACHE, SUITE);
  if (existsSync(base)) return base;
  const fresh = mkdtempSync(join(CACHE, 'new-'));
  try {
    execFileSync('debootstrap', ['--variant=minbase', SUITE, fresh, mirror()], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    rmSync(join(fresh, 'var/cache/apt/archives'), { recursive: true });
    renameSync(fresh, base);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return base;
}

/** The first mirror that this machine's own apt reads Debian's packages from. */
function mirror(): string {
  const format = ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages'];
  const [first] = execFileSync('apt-get', format, { encoding: 'utf8' }).split('\n');
  assert.ok(first, 'apt has no source');
  return first;
}

function takeSettings(): void {
  for (const path of [
    '/etc/resolv.conf',
    '/etc/hosts',
    '/etc/ssl/certs',
    '/usr/local/share/ca-certificates',
    '/root/.npmrc',
  ]) {
    if (existsSync(path)) {
      cpSync(path, join(tree, path), { recursive: true, dereference: true, force: true });
    }
  }
  const settings = execFileSync('apt-config', ['dump'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => /^Acquire::.* "..*";$/.test(line) && !line.includes('::IndexTargets'));
  writeFileSync(join(tree, 'etc/apt/apt.conf.d/99machine'), `${settings.join('\n')}\n`);
}

function environment(): string[] {
  const kept =
    /^((https?|all|no|ftp)_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|npm_config_.*)$/i;
  const entries = Object.entries(process.env).filter(([name]) => kept.test(name));
  return ['HOME=/root', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'TERM=dumb'].concat(
    entries.map(([name, value]) => `${name}=${value ?? ''}`),
  );
}

/**
 * Runs a bash command in the clone on the bare machine; gives what it said on both outputs.
 * Mount and process namespaces of its own, so that nothing is left mounted or running, also when
 * this process is killed.
 */
async function onBareMachine(command: string): Promise<string> {
  const script = `
    set -e
    mount --bind "$0" "$0"
    mount --rbind /dev "$0/dev"
    mount --rbind /sys "$0/sys"
    mount -t proc proc "$0/proc"
    command=$1
    shift
    exec chroot "$0" env -i "$@" bash -c "cd '${CLONE}' && $command"`;
  const namespaces = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child'];
  const child = spawn(
    'setpriv',
    // unshare(1) waits with SIGTERM blocked.
    ['--pdeathsig', 'KILL', 'unshare', ...namespaces, 'sh', '-c', script, tree, command].concat(
      environment(),
    ),
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      appendFileSync(LOG, text);
    });
  }
  const [status] = (await once(child, 'close')) as [number | null];
  assert.equal(status, 0, `${command}\n${failuresOf(output)}\n${lastLines(output)}`);
  return output;
}

/** What test/run.ts said of each failure, when it happened. */
function failuresOf(output: string): string {
  return output.match(/^not ok .*\n(?: {8}.*\n)*/gm)?.join('') ?? '';
}

function lastLines(output: string): string {
  return output.split('\n').slice(-80).join('\n');
}
